"""Trains the tiny fastText models of this folder and writes what fastText answers with them.

    pip install fasttext-wheel==0.9.2 'numpy<3'
    python train.py OUT_DIR

Training is repeatable (one thread, fixed seeds); the text is made up here.
"""
import json, os, random, sys
import fasttext

fasttext.FastText.eprint = lambda *a: None
draw = random.Random(176)
SYLLABLES = {
    "en": "the ing ed ly tion er on at wh ough house cat dog tree".split(),
    "de": "sch ein ung keit der die und \u00fc\u00df \u00f6r \u00e4u haus baum hund ich".split(),
    "fr": "le la eau oi \u00e9t \u00e8re \u00e7a qu un ment arbre chien maison que".split(),
    "ru": "\u043f\u0440\u0438 \u0441\u0442\u043e \u043d\u0430 \u0434\u0435 \u043b\u0430 \u0448\u0438 \u043a\u043e\u0442 \u0434\u043e\u043c".split(),
    "ja": "\u306e \u306b \u306f \u72ac \u732b \u5199 \u771f \u5bb6 \u6728".split(),
    "fi": "aa ii kk tt suu ky l\u00e4 \u00f6\u00f6 nen talo koira puu".split(),
    "x1": "0 1 2 3 .5 % - _ / #".split(),
    "x2": "\U0001f600 \U0001f408 \u2764 \u2014 ! ?".split(),
}


def word(language):
    return "".join(draw.choice(SYLLABLES[language]) for _ in range(draw.randint(1, 3)))


def sentence(language):
    return " ".join(word(language) for _ in range(draw.randint(2, 9)))


def few_labels(path):
    counts = dict(en=90, de=60, fr=50, ru=30, ja=30, fi=20, x1=8, x2=3)
    rows = [f"__label__{l} {sentence(l)}" for l, n in counts.items() for _ in range(n)]
    draw.shuffle(rows)
    open(path, "w", encoding="utf8").write("\n".join(rows) + "\n")


def many_labels(path):
    rows = []
    for label in range(300):
        language = list(SYLLABLES)[label % 6]
        own = word(language) + str(label)
        rows += [f"__label__{label} {own} {sentence(language)}" for _ in range(1 + 60 // (label + 3))]
    draw.shuffle(rows)
    open(path, "w", encoding="utf8").write("\n".join(rows) + "\n")


def texts():
    out = ["", " ", "\t \r", "</s>", "a </s> house cat", "house cat </s>", "__label__en", "__label__zz house",
           "the __label__de house", "house\u00a0cat dog", "house\u2003cat\u3000dog", "house\x1ccat", "house\0cat",
           "house\x0bcat\x0cdog\rtree", "  house   cat  ", "HOUSE CAT", "\u00fc\u00df", "\u00e9", "\U0001f600\U0001f408",
           "e\u0301\u0301", "zzzz qqqq", "\ufeffhouse", "x" * 300, "house " * 200, "<house>", "< >", "h", "\u72ac"]
    out += [sentence(l) for l in SYLLABLES for _ in range(4)]
    out += [sentence("en") + " " + sentence("ru") + " " + sentence("ja") for _ in range(6)]
    return out


def main(out):
    os.makedirs(out, exist_ok=True)
    few, many = os.path.join(out, "few.txt"), os.path.join(out, "many.txt")
    few_labels(few)
    many_labels(many)
    base = dict(thread=1, seed=1, epoch=20, lr=0.5, minCount=1, verbose=0)
    models = {}

    def train(name, source, quantize=None, **options):
        model = fasttext.train_supervised(source, **{**base, **options})
        if quantize is not None:
            model.quantize(source, thread=1, verbose=0, **quantize)
        path = name + (".bin" if quantize is None else ".ftz")
        model.save_model(os.path.join(out, path))
        models[path] = model

    train("softmax", few, dim=8, minn=2, maxn=4, bucket=500, wordNgrams=2)
    train("hs", few, loss="hs", dim=9, minn=2, maxn=3, bucket=400)
    train("ova", few, loss="ova", dim=10, wordNgrams=3, bucket=300)
    train("ns", few, loss="ns", dim=5, minn=1, maxn=1, bucket=300)
    train("words", few, dim=4)
    train("softmax", few, quantize=dict(), dim=8, minn=2, maxn=4, bucket=500, wordNgrams=2)
    train("softmax_qnorm_cutoff", few, quantize=dict(qnorm=True, cutoff=700, retrain=False),
          dim=8, minn=2, maxn=4, bucket=500, wordNgrams=2)
    train("hs_dsub", few, quantize=dict(dsub=4), loss="hs", dim=9, minn=2, maxn=3, bucket=400)
    train("hs_qnorm", few, quantize=dict(qnorm=True), loss="hs", dim=9, minn=2, maxn=3, bucket=400)
    train("hs_qnorm_qout_cutoff", many, quantize=dict(qnorm=True, qout=True, cutoff=1000),
          loss="hs", dim=8, minn=2, maxn=4, bucket=900)
    train("softmax_qout", many, quantize=dict(qout=True), dim=7, minn=2, maxn=3, bucket=500)
    train("pruned_to_words", few, quantize=dict(cutoff=300), dim=6, minn=0, maxn=0, wordNgrams=1)

    probe = texts()
    answers = {}
    for name, model in models.items():
        rows = []
        for k, threshold in ((1, 0.0), (5, 0.0), (-1, 0.05)):
            for index, text in enumerate(probe):
                found = model.f.predict(text + "\n", k, threshold, "strict")
                rows.append([index, k, threshold, [[l, round(p, 9)] for p, l in found]])
        answers[name] = rows
    with open(os.path.join(out, "expected.json"), "w") as file:
        file.write('{"texts": ' + json.dumps(probe) + ',\n"answers": {\n')
        file.write(",\n".join(f"{json.dumps(n)}: " + json.dumps(r, separators=(",", ":")) for n, r in answers.items()))
        file.write("\n}}\n")
    os.remove(few)
    os.remove(many)


main(sys.argv[1])
