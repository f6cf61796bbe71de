//! The operations that the CPU has of its own: those of the workspace's kernels, registered with burn.

use burn::{
    backend::{
        Autodiff, Backend, Flex, TensorMetadata,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind, unary},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::{Shape, TensorData},
};
use curate_kernels::train::{self, Pictures, Sequences};

/// The operations that the CPU has of its own.
#[backend_extension(Autodiff, Flex)]
pub(super) trait CpuOps: Backend {
    fn cpu_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn cpu_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn cpu_attention(qkv: FloatTensor<Self>, of: Sequences) -> FloatTensor<Self>;
    fn cpu_squares(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn cpu_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn cpu_contrastive(logits: FloatTensor<Self>) -> FloatTensor<Self>;
    fn cpu_patches(pixels: FloatTensor<Self>) -> FloatTensor<Self>;
}

type Cpu = FloatTensor<Flex>;

/// The numbers of a tensor, and a tensor of its shape from those that `make` writes.
fn mapped(x: &Cpu, shape: Shape, make: impl FnOnce(&[f32], &mut [f32])) -> Cpu {
    let mut out = vec![0.0; shape.num_elements()];
    make(numbers_of(&x.to_contiguous()), &mut out);
    of_numbers(out, shape)
}

fn of_numbers(numbers: Vec<f32>, shape: impl Into<Shape>) -> Cpu {
    Cpu::from_data(TensorData::new(numbers, shape))
}

/// The numbers of a tensor that lie side by side.
fn numbers_of(x: &Cpu) -> &[f32] {
    x.as_slice().expect("single precision, side by side")
}

/// The numbers of a tensor, to write to.
fn owned(x: Cpu) -> (Vec<f32>, Shape) {
    let shape = x.shape();
    let numbers = x.to_contiguous().into_data().try_into_vec().expect("single precision");
    (numbers, shape)
}

/// Pictures of `n x side x side x channels`.
fn pictures(x: &Cpu) -> Pictures {
    let shape = x.shape();
    Pictures { count: shape[0], side: shape[1], channels: shape[3] }
}

impl CpuOps for Flex {
    fn cpu_linear(x: Cpu, weight: Cpu, bias: Cpu) -> Cpu {
        let shape = [x.shape()[0], weight.shape()[0]];
        let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.to_contiguous());
        of_numbers(train::linear(numbers_of(&x), numbers_of(&weight), numbers_of(&bias)), shape)
    }

    fn cpu_layer_norm(x: Cpu, weight: Cpu, bias: Cpu) -> Cpu {
        let shape = x.shape();
        let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.to_contiguous());
        of_numbers(train::layer_norm(numbers_of(&x), numbers_of(&weight), numbers_of(&bias)), shape)
    }

    fn cpu_attention(qkv: Cpu, of: Sequences) -> Cpu {
        let shape = [qkv.shape()[0], of.width];
        of_numbers(train::attention(numbers_of(&qkv.to_contiguous()), of), shape)
    }

    fn cpu_squares(x: Cpu) -> Cpu {
        let sum = train::sum_of_squares(numbers_of(&x.to_contiguous()));
        Cpu::from_data(TensorData::from([sum as f32]))
    }

    fn cpu_gelu(x: Cpu) -> Cpu {
        mapped(&x, x.shape(), train::gelu)
    }

    fn cpu_contrastive(logits: Cpu) -> Cpu {
        loss_and_gradient(&logits).0
    }

    fn cpu_patches(pixels: Cpu) -> Cpu {
        let of = pictures(&pixels);
        let width = 9 * of.channels;
        let shape = Shape::from([of.of_patches() / width.max(1), width]);
        let patches = train::patches(numbers_of(&pixels.to_contiguous()), of);
        of_numbers(patches, shape)
    }
}

fn loss_and_gradient(logits: &Cpu) -> (Cpu, Cpu) {
    let (shape, mut loss) = (logits.shape(), 0.0);
    let n = shape[0];
    let gradient = mapped(logits, shape, |logits, out| loss = train::contrastive(logits, n, out));
    (Cpu::from_data(TensorData::from([loss as f32])), gradient)
}

#[derive(Debug)]
struct Linear;

impl Backward<Flex, 3> for Linear {
    /// What went in, and the weight.
    type State = (Cpu, Cpu);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (x, weight) = (ops.state.0.to_contiguous(), ops.state.1.to_contiguous());
        let outputs = weight.shape()[0];
        let [by_x, by_weight, by_bias] = ops.parents;
        let of = numbers_of(&gradient);
        if let Some(node) = by_x {
            let found = train::linear_backward_x(of, numbers_of(&weight), outputs);
            gradients.register::<Flex>(node.id, of_numbers(found, x.shape()));
        }
        if let Some(node) = by_weight {
            let found = train::linear_backward_weight(of, numbers_of(&x), outputs);
            gradients.register::<Flex>(node.id, of_numbers(found, weight.shape()));
        }
        if let Some(node) = by_bias {
            let found = train::column_sums(of, outputs);
            gradients.register::<Flex>(node.id, of_numbers(found, [1, outputs]));
        }
    }
}

#[derive(Debug)]
struct LayerNorm;

impl Backward<Flex, 3> for LayerNorm {
    /// What went in, and the weight.
    type State = (Cpu, Cpu);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (x, weight) = (ops.state.0.to_contiguous(), ops.state.1.to_contiguous());
        let weight = numbers_of(&weight);
        let (by_x, mut found) =
            train::layer_norm_backward(numbers_of(&x), weight, numbers_of(&gradient));
        let of_bias = found.split_off(weight.len());
        let each =
            [(by_x, x.shape()), (found, ops.state.1.shape()), (of_bias, ops.state.1.shape())];
        for (node, (found, shape)) in ops.parents.into_iter().zip(each) {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, of_numbers(found, shape));
            }
        }
    }
}

#[derive(Debug)]
struct Attend;

impl Backward<Flex, 1> for Attend {
    /// Queries, keys and values.
    type State = (Cpu, Sequences);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (qkv, of) = ops.state;
        unary::<Flex, _>(ops.parents, ops.node, gradients, |gradient| {
            let (qkv, gradient) = (qkv.to_contiguous(), gradient.to_contiguous());
            let found = train::attention_backward(numbers_of(&qkv), numbers_of(&gradient), of);
            of_numbers(found, qkv.shape())
        });
    }
}

#[derive(Debug)]
struct Squares;

impl Backward<Flex, 1> for Squares {
    type State = Cpu;

    fn backward(self, ops: Ops<Cpu, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        unary::<Flex, _>(ops.parents, ops.node, gradients, |gradient| {
            let (of_sum, _) = owned(gradient);
            let (mut slopes, shape) = owned(ops.state);
            slopes.iter_mut().for_each(|slope| *slope *= 2.0 * of_sum[0]);
            of_numbers(slopes, shape)
        });
    }
}

#[derive(Debug)]
struct Gelu;

impl Backward<Flex, 1> for Gelu {
    type State = Cpu;

    fn backward(self, ops: Ops<Cpu, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        unary::<Flex, _>(ops.parents, ops.node, gradients, |gradient| {
            let x = ops.state.to_contiguous();
            mapped(&gradient, x.shape(), |gradient, out| {
                train::gelu_backward(numbers_of(&x), gradient, out);
            })
        });
    }
}

#[derive(Debug)]
struct Contrastive;

impl Backward<Flex, 1> for Contrastive {
    /// The derivative by every logit.
    type State = Cpu;

    fn backward(self, ops: Ops<Cpu, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        unary::<Flex, _>(ops.parents, ops.node, gradients, |gradient| {
            let (of_loss, _) = owned(gradient);
            let (mut slopes, shape) = owned(ops.state);
            if of_loss != [1.0] {
                slopes.iter_mut().for_each(|slope| *slope *= of_loss[0]);
            }
            of_numbers(slopes, shape)
        });
    }
}

#[derive(Debug)]
struct Patches;

impl Backward<Flex, 1> for Patches {
    type State = Pictures;

    fn backward(self, ops: Ops<Pictures, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let of = ops.state;
        unary::<Flex, _>(ops.parents, ops.node, gradients, |gradient| {
            let shape = Shape::from([of.count, of.side, of.side, of.channels]);
            let back = train::patches_backward(numbers_of(&gradient.to_contiguous()), of);
            of_numbers(back, shape)
        });
    }
}

/// An operation on rows, a weight and a bias, the first two of which its gradients need.
fn with_three<B, C: CheckpointStrategy>(
    op: B,
    inputs: [FloatTensor<Autodiff<Flex, C>>; 3],
    make: impl FnOnce(Cpu, Cpu, Cpu) -> Cpu,
) -> FloatTensor<Autodiff<Flex, C>>
where
    B: Backward<Flex, 3, State = (Cpu, Cpu)>,
{
    let [(x, of_x), (weight, of_weight), (bias, of_bias)] = inputs.map(|input| input.into_parts());
    let found = make(x.clone(), weight.clone(), bias);
    match op.prepare::<C>([of_x, of_weight, of_bias]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((x, weight), found),
        OpsKind::UnTracked(prep) => prep.finish(found),
    }
}

impl<C: CheckpointStrategy> CpuOps for Autodiff<Flex, C> {
    fn cpu_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        with_three::<_, C>(Linear, [x, weight, bias], Flex::cpu_linear)
    }

    fn cpu_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        with_three::<_, C>(LayerNorm, [x, weight, bias], Flex::cpu_layer_norm)
    }

    fn cpu_attention(qkv: FloatTensor<Self>, of: Sequences) -> FloatTensor<Self> {
        let (qkv, node) = qkv.into_parts();
        let found = Flex::cpu_attention(qkv.clone(), of);
        match Attend.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((qkv, of), found),
            OpsKind::UnTracked(prep) => prep.finish(found),
        }
    }

    fn cpu_squares(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match Squares.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(x.clone(), Flex::cpu_squares(x)),
            OpsKind::UnTracked(prep) => prep.finish(Flex::cpu_squares(x)),
        }
    }

    fn cpu_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match Gelu.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(x.clone(), Flex::cpu_gelu(x)),
            OpsKind::UnTracked(prep) => prep.finish(Flex::cpu_gelu(x)),
        }
    }

    fn cpu_contrastive(logits: FloatTensor<Self>) -> FloatTensor<Self> {
        let (logits, node) = logits.into_parts();
        let (loss, gradient) = loss_and_gradient(&logits);
        match Contrastive.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(gradient, loss),
            OpsKind::UnTracked(prep) => prep.finish(loss),
        }
    }

    fn cpu_patches(pixels: FloatTensor<Self>) -> FloatTensor<Self> {
        let (pixels, node) = pixels.into_parts();
        let of = pictures(&pixels);
        match Patches.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(of, Flex::cpu_patches(pixels)),
            OpsKind::UnTracked(prep) => prep.finish(Flex::cpu_patches(pixels)),
        }
    }
}
