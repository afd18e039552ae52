#!/usr/bin/env python3
"""Makes austen.txt.gz, kjv.txt.gz and sotu.txt.gz from their sources, which README.md names.

    python3 build.py AUSTEN_FOLDER kjv.txt.gz sotu_1790_2026.txt.gz

One paragraph a line; a line `<|endoftext|>` between documents: a chapter of a novel, a chapter of the Bible, an address.
Runs twice to the same bytes (gzip without name and time).
"""
import gzip, pathlib, re, sys

MARKER = "<|endoftext|>"


def write(name, documents):
    documents = [d.strip() for d in documents]
    text = f"\n{MARKER}\n".join(d for d in documents if len(d) > 200) + "\n"
    with open(name, "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as z:
        z.write(text.encode())
    print(name, len(text), "bytes in", text.count(MARKER) + 1, "documents")


def paragraphs(text):
    """Joins hard-wrapped lines: a blank line ends a paragraph."""
    return "\n".join(" ".join(p.split()) for p in re.split(r"\n\s*\n", text) if p.strip())


austen, kjv, sotu = sys.argv[1:]
chapters = []
for novel in sorted(pathlib.Path(austen).glob("*.txt")):
    text = novel.read_text()
    chapters += [paragraphs(c) for c in re.split(r"(?mi)^(?=chapter [ivxlc\d]+\.?\s*$)", text)]
write("austen.txt.gz", chapters)
bible = gzip.open(kjv, "rt").read()
books = re.split(r"(?m)^(?=[1-3A-Z][\w' ]* \d+$)", bible)
write("kjv.txt.gz", ["\n".join(line.strip() for line in b.splitlines() if line.strip()) for b in books])
addresses = gzip.open(sotu, "rt").read().split(MARKER)
write("sotu.txt.gz", ["\n".join(line.strip() for line in a.splitlines() if line.strip()) for a in addresses])
