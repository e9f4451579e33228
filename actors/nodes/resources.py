"""What a flow may use beside its own file: the scripts, templates and functions of its bundle.

In: paths and texts the bundle's reader collected. Out: look-up by the path a flow names. Refuses
paths that leave the bundle.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel

from grammar import FunctionLibrary


class ActionForm(Protocol):
    """What a flow has to know of a provider's action."""

    @property
    def arguments(self) -> type[BaseModel]:
        """The model its arguments are checked by."""
        ...

    @property
    def html_arguments(self) -> frozenset[str]:
        """The arguments whose templates are escaped for HTML (SPEC 7)."""
        ...


ActionForms = Mapping[str, Mapping[str, ActionForm]]
"""By provider and action."""


@dataclass(frozen=True, slots=True)
class FlowResources:
    """Texts by their path inside the bundle (or the app), with ``/`` between the parts."""

    library: FunctionLibrary | None = None
    """Functions of the shared scripts, callable from every script of the flow."""
    scripts: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)
    """Template files; each is also a partial, under its file name without ``.hbs``."""
    timezone: str = "UTC"
    """For timers that name none: the timer provider's option (SPEC 6)."""
    actions: ActionForms | None = None
    """What the enabled providers do; None where they are not known, so nothing is checked."""
    library_digest: str = ""
    """Content hash of the shared scripts: part of the flow's own digest."""


def find_path(path: str, texts: Mapping[str, str]) -> str | None:
    """Give the key under which ``texts`` has the file, or None; never one outside the bundle."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or "\\" in path or ".." in parts:
        return None
    normal = "/".join(parts)
    return normal if normal in texts else None


def leaves_bundle(path: str) -> bool:
    """Tell whether a path is absolute or climbs out of the bundle (SPEC 3)."""
    return path.startswith("/") or "\\" in path or ".." in path.split("/")
