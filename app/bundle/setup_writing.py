"""Writing a bundle's answers: whole or not at all, in the form the file has.

In: a bundle's folder, the file's name, the answers. Out: the file. Refuses (CommandError) what
cannot be written; the old file is then as it was.
"""

import io
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from app.errors import CommandError

_MODE: Final = 0o644


def write_answers(root: Path, file: str, answers: Mapping[str, Any]) -> None:
    """Replace the file in one step: whoever reads it meanwhile sees the old or the new one."""
    target = (root / file).resolve()
    if not target.is_relative_to(root.resolve()):
        raise CommandError(f"{file} leads out of the bundle")
    fresh = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else _MODE
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(format_answers(file, answers))
                stream.flush()
                os.fsync(stream.fileno())
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"cannot write {target}: {error.strerror}") from None


def format_answers(file: str, answers: Mapping[str, Any]) -> str:
    """Give the text of a file of this name: JSON, or YAML without its comments."""
    if not file.endswith((".yaml", ".yml")):
        return json.dumps(answers, indent=2, ensure_ascii=False) + "\n"
    yaml: Any = YAML(typ="safe", pure=True)  # its types know only one of its settings
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    stream = io.StringIO()
    yaml.dump(dict(answers), stream)
    return stream.getvalue()
