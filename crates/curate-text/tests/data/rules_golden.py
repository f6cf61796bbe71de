"""Writes rules_golden.json: DataComp's caption rules, asked in Python, of the fixture's texts.

    pip install fasttext-wheel==0.9.2 'numpy<3' nltk==3.10.4
    python rules_golden.py WORDNET_DIR lid.176.ftz > rules_golden.json

`english` is fastText's lid.176.ftz; `entity` is whether the first synset of any word lies in
imagenet21k_wordnet_ids.txt of the fixture.
"""
import json, os, sys
import fasttext
from wordnet_golden import answers, captions

root, model = sys.argv[1:]
fasttext.FastText.eprint = lambda *a: None
lid = fasttext.load_model(model)
here = os.path.dirname(os.path.abspath(__file__))
ids = open(os.path.join(here, "../../../../fixtures/datacomp_mini/imagenet21k_wordnet_ids.txt"))
ids = {int(line.strip()[1:]) for line in ids}
texts = captions()
first = dict(answers(root, {word for text in texts for word in text.split()}))
out = []
for text in texts:
    found = lid.f.predict(text.replace("\n", " ") + "\n", 1, 0.0, "strict")
    english = found[0][1] == "__label__en"
    entity = any(first[w] != "-" and int(first[w].split()[0]) in ids for w in text.split())
    split, tokens = len(text.split()), len(fasttext.tokenize(text))
    out.append(dict(text=text, split=split, tokens=tokens, chars=len(text), english=english, entity=entity,
                    basic=english and split > 2 and len(text) > 5,
                    caption_filter=english and tokens > 1 and len(text) > 5, text_based=english and entity))
print("[" + ",\n".join(json.dumps(row) for row in out) + "]")
