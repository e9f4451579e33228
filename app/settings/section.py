"""What all sections of ``greentic.toml`` share.

In: plain values. Out: frozen sections. Refuses unknown keys and inexact types, and never repeats a
value: it may be secret.
"""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Frozen, exact types, no unknown keys, no values in errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )
