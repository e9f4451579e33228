"""The file that holds a bundle's answers, found and read.

In: a bundle's files. Out: the document, an empty one where there is no file. Refuses two of them.
"""

from typing import Final

from app.bundle.document import Document
from app.bundle.files import BundleFiles
from app.bundle.json_document import read_json
from app.bundle.problems import Problem
from app.bundle.yaml import read_yaml

ANSWERS_NAMES: Final = ("answers.json", "answers.yaml", "answers.yml")


def read_answers_file(files: BundleFiles, folder: str = "") -> tuple[Document, list[Problem]]:
    """Give the document and what is wrong with it, its own problems included.

    ``folder``: where else than at the root, with a ``/`` at its end.
    """
    names = [f"{folder}{name}" for name in ANSWERS_NAMES]
    present = [name for name in names if files.has_file(name)]
    document = Document(names[0], "", data={})
    problems: list[Problem] = []
    if present:
        text = files.read_text(present[0]) or ""
        read = read_json if present[0].endswith(".json") else read_yaml
        document = read(text, present[0])
    if len(present) > 1:
        message = f"there are answers twice: {' and '.join(present)}"
        problems.append(document.problem((), "bundle.answers_twice", message))
    return document, [*problems, *document.problems]
