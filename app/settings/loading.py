"""Merging and checking all settings: defaults < ``greentic.toml`` < environment < flags.

In: the sources. Out: `Settings`, or one SettingsError with every problem of every source.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.errors import SettingsError
from app.settings.sections import Settings
from app.settings.sources import Sources


def load_settings(
    toml_path: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any]
) -> Settings:
    """Merge and check all sources.

    ``flags`` go by key (``server.port``); None means not given. Raises SettingsError with all
    problems. ``environ`` is the process's environment; variables of others are ignored.
    """
    sources = Sources()
    if toml_path is not None:
        sources.add_file(toml_path)
    sources.add_environment(environ)
    for key, value in flags.items():
        if value is not None:
            sources.put(key, value, f"--{key.rpartition('.')[2].replace('_', '-')}")
    sources.take_credentials()
    try:
        settings = Settings.model_validate(sources.values)
    except ValidationError as error:
        sources.problems += [sources.describe(detail) for detail in error.errors()]
        raise SettingsError(sources.problems) from None
    if sources.problems:
        raise SettingsError(sources.problems)
    return settings
