"""A step of training beside PyTorch: both towers, the loss, their gradients, AdamW."""

import json
import os
import subprocess
import time

from tower import shares

# A small ViT of open_clip's list, of the size one trains on a CPU.
MODEL, BATCH, STEPS = "ViT-S-32-alt", 32, 4
# Short ones are as long as alt texts; ours leaves out what stands behind the longest caption's end,
# PyTorch computes all 77 tokens. Long ones fill them, so that both sides do the same work.
CAPTIONS = {"short": lambda i: f"a photograph of {i} {'very ' * (i % 12)}old boats at the shore",
            "long": lambda i: f"{i} boats " + "very old " * 60}

PARTS = [("products", ("onto_", "gemm_f32")), ("packing", ("pack", "transpose", "products::finish")),
         ("GELU, softmax and norms", ("train::forward", "train::backward", "softmax", "norm", "to_scores")),
         ("copies and cleared memory", ("memmove", "memset", "memcpy", "copy_2d", "clear_page", "page_fault")),
         ("element by element", ("binary", "scalar_op", "unary", "zip_", "macerator", "iter", "vectorize"))]


def measure(args, bench, program):
    return {captions: case(args, bench, program, captions) for captions in CAPTIONS}


def case(args, bench, program, captions):
    import numpy as np
    import open_clip
    import torch
    from open_clip.loss import ClipLoss
    from safetensors.torch import save_file

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    folder = bench / f"train-{MODEL}"
    folder.mkdir(parents=True, exist_ok=True)
    model = open_clip.create_model(MODEL, pretrained=None).train()
    state = {k: v.clone().contiguous() for k, v in model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    config = {"model_cfg": open_clip.get_model_config(MODEL)}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    size = config["model_cfg"]["vision_cfg"]["image_size"]
    pixels = torch.randn(BATCH, 3, size, size)
    tokens = open_clip.tokenize([CAPTIONS[captions](i) for i in range(BATCH)])
    pixels.numpy().astype("<f4").tofile(folder / "pixels.f32")
    tokens.numpy().astype("<u4").tofile(folder / "tokens.u32")

    def torch_once():
        model.load_state_dict(state)
        decays = [p for n, p in model.named_parameters() if decay(n, p)]
        others = [p for n, p in model.named_parameters() if not decay(n, p)]
        groups = [{"params": others, "weight_decay": 0.0}, {"params": decays, "weight_decay": 0.2}]
        optimizer = torch.optim.AdamW(groups, lr=5e-4, betas=(0.9, 0.98), eps=1e-6)
        loss_of = ClipLoss()
        seconds, losses = [], []
        for _ in range(STEPS):
            start = time.perf_counter()
            optimizer.zero_grad()
            images, texts, scale = model(pixels, tokens)
            loss = loss_of(images, texts, scale)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                model.logit_scale.clamp_(0, np.log(100))
            losses.append(loss.item())
            seconds.append(time.perf_counter() - start)
        return seconds, losses

    def ours_once():
        env = {**os.environ, "RAYON_NUM_THREADS": str(args.threads)}
        run = subprocess.run([program, folder, str(STEPS)], env=env, check=True, capture_output=True, text=True)
        out = json.loads(run.stdout)
        return out["seconds"], out["losses"]

    rounds, losses = {"torch": [], "ours": []}, {}
    for _ in range(args.rounds):
        for name, once in (("torch", torch_once), ("ours", ours_once)):
            seconds, losses[name] = once()
            # The first step of a process also allocates.
            rounds[name].append(min(seconds[1:]))
    difference = max(abs(a - b) for a, b in zip(losses["torch"], losses["ours"], strict=True))
    assert difference < 1e-3, f"the losses differ by {difference}"
    return {"case": {"model": MODEL, "batch": BATCH, "steps": STEPS}, "rounds": rounds, "losses": losses,
            "largest_difference_of_losses": difference,
            "shares": shares([program, folder, str(STEPS)], PARTS, bench)}


def decay(name, parameter):
    """open_clip's rule."""
    return parameter.ndim >= 2 and not any(part in name for part in ("bn", "ln", "bias", "logit_scale"))
