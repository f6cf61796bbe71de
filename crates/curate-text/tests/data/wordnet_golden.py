"""Writes wordnet_golden.tsv (NLTK's first synset of ~2,000 words) and wordnet/ (the lines of the
WordNet 3.0 files that those words need, in the original format).

    python wordnet_golden.py answers WORDNET_DIR > column.tsv     # once for each NLTK version
    python wordnet_golden.py words WORDNET_DIR                    # the list of words
    python wordnet_golden.py reduce WORDNET_DIR words.txt wordnet # the reduced database

WORDNET_DIR is a folder with index.noun ... adv.exc, such as /usr/share/wordnet of Debian's
wordnet-base 1:3.0-37. NLTK also wants a file `lexnames`; the names in it do not matter here, so a
copy of the folder with 45 numbered lines is made.
"""
import json, os, random, shutil, sys, tempfile, warnings

POS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
RULES = [
    ("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"),
    ("shes", "sh"), ("men", "man"), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"),
    ("ed", ""), ("ing", "e"), ("ing", ""), ("er", ""), ("est", ""), ("er", "e"), ("est", "e"),
]


def lines(root, name):
    with open(os.path.join(root, name), encoding="utf8") as file:
        return [line for line in file]


def body(root, name):
    return [line for line in lines(root, name) if not line.startswith(" ")]


def captions():
    """The texts of the fixture `datacomp_mini`, and some of our own."""
    here = os.path.dirname(os.path.abspath(__file__))
    expected = os.path.join(here, "../../../../fixtures/datacomp_mini/expected")
    with open(os.path.join(expected, "lid_probe.json")) as file:
        texts = [probe["text"] for probe in json.load(file)]
    with open(os.path.join(expected, "report.json")) as file:
        texts += list(json.load(file)["caption_lid"])
    texts += ["a\x1cb\x1dc\x1ed\x1ff", "a\x85b\xa0c\u1680d\u2000e\u200af", "a\u2028b\u2029c\u202fd\u205fe\u3000f",
              "a\u200bb\ufeffc\u180ed\u2060e", "a\x00b\x07c d", "cat\r\nand\x0b\x0cdog", "\n\n\n\n", "Two DOGS!",
              "\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600 x", "a </s> b", "five5", "six six", "e\u0301e\u0301e\u0301",
              "hen less tench", "goose, geese", "a used kite", "tabled"]
    return list(dict.fromkeys(texts))


def words(root):
    draw = random.Random(2304)
    out = [""]
    for pos, count in (("noun", 420), ("verb", 160), ("adj", 140), ("adv", 60)):
        lemmas = [line.split()[0] for line in body(root, f"index.{pos}")]
        picked = draw.sample(lemmas, count)
        out += picked
        plain = [w for w in lemmas if w.isalpha() and len(w) > 3]
        if pos == "noun":
            for word in draw.sample(plain, 180):
                out.append(word + ("es" if word[-1] in "sxz" or word[-2:] in ("ch", "sh") else "s"))
            out += [w[:-1] + "ies" for w in draw.sample([w for w in plain if w[-1] == "y"], 40)]
            out += [w[:-1] + "ves" for w in draw.sample([w for w in plain if w[-1] == "f"], 20)]
            out += [w[:-3] + "men" for w in draw.sample([w for w in plain if w[-3:] == "man"], 20)]
            # Two rules in a row: older NLTK goes on stripping, newer NLTK stops.
            out += [w + "ss" for w in draw.sample(plain, 20)] + [w + "sses" for w in draw.sample(plain, 20)]
        if pos == "verb":
            for word in draw.sample(plain, 120):
                stem = word[:-1] if word[-1] == "e" else word
                out += draw.sample([stem + "ing", stem + "ed", word + "s", stem + "es"], 2)
            out += [w + "inging" for w in draw.sample(plain, 15)] + [w + "eding" for w in draw.sample(plain, 15)]
        if pos == "adj":
            for word in draw.sample(plain, 60):
                stem = word[:-1] if word[-1] == "e" else word
                out.append(stem + draw.choice(["er", "est"]))
    for pos, count in (("noun", 160), ("verb", 160), ("adj", 80), ("adv", 7)):
        keys = [line.split()[0] for line in body(root, f"{pos}.exc")]
        out += draw.sample(keys, min(count, len(keys)))
    base = [w for w in out if w.isalpha()]
    out += [w.capitalize() for w in draw.sample(base, 50)] + [w.upper() for w in draw.sample(base, 30)]
    out += [draw.choice(",.!?;:") + w for w in draw.sample(base, 8)]
    out += [w + draw.choice([",", ".", "!", "'s", "...", ")", "\u2019s"]) for w in draw.sample(base, 40)]
    out += [w.replace("_", "-") for w in draw.sample([w for w in out if "_" in w], 30)]
    out += [w.replace("_", " ") for w in draw.sample([w for w in out if "_" in w], 15)]
    out += """cat Cat CAT cats dog dogs mice geese children feet teeth oxen wolves knives leaves
        running ran was were is are am be been being has had does did goes went better best worse
        worst more most less least good well bad further farther axes bases fungi data media corpora
        men women firemen glasses scissors boxes buses churches dishes ladies tries tried flies ful
        handful spoonfuls handfuls e-mail t-shirt T-shirt x-ray X-ray state-of-the-art ice-cream
        ice_cream ice_creams attorneys_general mother-in-law mothers-in-law 1 2 3 10 100 007 1920
        1920s 3d 3D 2nd 1st A a an the of in on at it he she I as us who no yes not can will may
        s es ed ing er est ies men ses xes 's -s _ - -- ... & @home #tag $5 50% a.m. A.M. u.s. U.S.
        o'clock 'hood .22 .22s tench goldfish hen kite bullfrog xyzzy qwertyuiop IMG_0001.JPG
        caf\u00e9 na\u00efve stra\u00dfe \u65e5\u672c \u212a \u212aing \u0130stanbul \u03a3 \u00c9clair
        \u00c5 \ufb01sh \u017fun zs oxes dies dice lice bus gas gases biases species series news
        physics mathematics pants trousers jeans shoes sunglasses pyjamas pajamas kisses passes
        princesses actresses waitresses mattresses dresses dressed dressing undresses blessing
        blessings buildings paintings weddings rings kings things seeing sees seen saw saws lay
        lying lies lied dying died dyeing singing singeing hoped hopped hoping hopping planned
        quickly fastest faster nicer nicest bigger biggest redder happily happier happiest"""\
        .replace("\n", " ").split(" ")
    for caption in captions():
        out += caption.split()
    seen, unique = set(), []
    for word in out:
        if word not in seen and "\t" not in word and "\n" not in word:
            seen.add(word)
            unique.append(word)
    return unique


def answers(root, chosen):
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class Reader(WordNetCorpusReader):
        def map_wn(self, version="wordnet"):
            return None

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as copy:
        for name in os.listdir(root):
            shutil.copy(os.path.join(root, name), copy)
        with open(os.path.join(copy, "lexnames"), "w") as file:
            file.writelines(f"{i:02d}\tname.{i}\t1\n" for i in range(45))
        nltk.data.path.append(copy)  # newer NLTK opens no other folders
        reader = Reader(copy, None)
        for word in chosen:
            found = reader.synsets(word)
            yield word, f"{found[0].offset()} {found[0].pos()}" if found else "-"


def candidates(word):
    reached, todo = set(), [word.lower()]
    while todo:
        form = todo.pop()
        if form in reached:
            continue
        reached.add(form)
        todo += [form[: -len(old)] + new for old, new in RULES if form.endswith(old)]
    return reached


def reduce(root, chosen, out):
    forms = set().union(*(candidates(word) for word in chosen))
    exceptions = {}
    for name in POS.values():
        exceptions[name] = [line for line in lines(root, f"{name}.exc") if line.split()[0] in forms]
    for name in POS.values():
        for line in exceptions[name]:
            forms |= set(line.split())
    offsets = set()
    for name in POS.values():
        kept = [l for l in lines(root, f"index.{name}") if l.startswith(" ") or l.split()[0] in forms]
        if name == "adj":
            for line in kept:
                if not line.startswith(" "):
                    offsets.add(line.split()[-int(line.split()[2])])
        write(out, f"index.{name}", kept)
        write(out, f"{name}.exc", exceptions[name])
    # Only adjectives have a second part of speech ('s', satellite) in their data lines.
    kept = [l for l in lines(root, "data.adj") if l.startswith(" ") or l.split()[0] in offsets]
    write(out, "data.adj", kept)


def write(folder, name, kept):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "w", encoding="utf8", newline="") as file:
        file.writelines(kept)


if __name__ == "__main__":
    job, root = sys.argv[1], sys.argv[2]
    if job == "words":
        print("\n".join(words(root)))
    elif job == "answers":
        for word, answer in answers(root, words(root)):
            print(f"{word}\t{answer}")
    elif job == "reduce":
        reduce(root, words(root), sys.argv[3])
