"""Key files: the keys that seal secrets, as a platform mounts them.

In: the path of a file, or of a folder with a key in each file. Out: their text, the current key
first. Refuses (ValueError) what cannot be read, and a folder that does not say which key is the
current one: guessing by name or time would seal with a key that is about to be removed.
"""

from pathlib import Path
from typing import Final

from app.settings.sealing_key import KEY_TEXT_CHARS_MAX, KEYS_MAX, KEYS_TEXT_CHARS_MAX

CURRENT: Final = "current"
"""The file of a folder that holds the key new values are sealed with; the others only open."""


def read_key_files(path: Path) -> str:
    """Give the keys of a file or folder, separated by commas. ValueError never repeats one."""
    if not path.is_dir():
        return _read(path, KEYS_TEXT_CHARS_MAX)
    # Names with a dot in front are how Kubernetes swaps the content of a mounted folder.
    names = sorted(item.name for item in path.iterdir() if not item.name.startswith("."))
    if not names:
        raise ValueError(f"{path.name} holds no key file")
    if len(names) > KEYS_MAX + 1:
        raise ValueError(f"{path.name} holds more than {KEYS_MAX} key files")
    if len(names) > 1 and CURRENT not in names:
        raise ValueError(
            f"{path.name} holds {len(names)} key files; call the one to seal with {CURRENT!r}"
        )
    names.sort(key=lambda name: name != CURRENT)
    texts = [_read(path / name, KEY_TEXT_CHARS_MAX).strip() for name in names]
    # `current` is often a copy of the dated file beside it.
    return ",".join(dict.fromkeys(texts))


def _read(path: Path, chars_max: int) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(chars_max + 1).decode("ascii")
    except (OSError, ValueError):
        raise ValueError(f"{path.name} cannot be read as text") from None
    if not text.strip():
        raise ValueError(f"{path.name} is empty")
    if len(text) > chars_max:
        raise ValueError(f"{path.name} is too long to be a key file")
    return text.rstrip("\r\n")
