"""Dead letters as the API asks for them and shows them.

In: queries, orders, letters. Out: models. Refuses orders that do not say in exactly one way which
letters are meant.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from app.dead_letters.desk import (
    AT_ONCE_DEFAULT,
    IDS_MAX,
    PAGE_DEFAULT,
    PAGE_MAX,
    PER_SECOND_MAX,
    PLACE_MAX,
    Chosen,
)
from app.dead_letters.letters import LetterFilter
from app.errors import BadRequestError
from app.http.api_models import BodyModel, PageView, Text, ViewModel
from app.http.api_times import TimesQuery, between

AT_ONCE_MAX: Final = 1000


class LetterQuery(TimesQuery):
    """Which letters are wanted, and which page of them."""

    flow: Text | None = None
    reason: Text | None = None
    event_type: Text | None = None
    event_id: Text | None = None
    order: Literal["newest", "oldest"] = "newest"
    after: Annotated[int, Field(ge=0, le=PLACE_MAX)] | None = None
    """The former page's ``next_after``."""
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT

    def as_filter(self, now_ms: int) -> LetterFilter:
        """Give the desk's filter. BadRequestError: a time is none."""
        period = self.between(now_ms)
        return LetterFilter(self.flow, self.reason, self.event_type, self.event_id, *period)


class LetterChoice(BodyModel):
    """Which letters are meant: those that match every field that is given."""

    flow: Text | None = None
    reason: Text | None = None
    event_type: Text | None = None
    event_id: Text | None = None
    since: Text | None = None
    until: Text | None = None

    def as_filter(self, now_ms: int) -> LetterFilter:
        """Give the desk's filter. BadRequestError: a time is none."""
        period = between(self.since, self.until, now_ms)
        return LetterFilter(self.flow, self.reason, self.event_type, self.event_id, *period)


class DiscardOrder(BodyModel):
    """Which letters: either ``ids``, or ``filter``, or ``"all": true``."""

    ids: Annotated[list[Text], Field(min_length=1, max_length=IDS_MAX)] | None = None
    """Letter ids, or places as ``@SEQUENCE``."""
    filter: LetterChoice | None = None
    all: bool = False
    limit: Annotated[int, Field(ge=1, le=AT_ONCE_MAX)] = AT_ONCE_DEFAULT
    """How many at most, this time."""
    dry_run: bool = False
    """Only say what would be done."""

    def chosen(self, now_ms: int) -> Chosen:
        """Give what is meant. BadRequestError: it is not said in exactly one way."""
        if [self.ids is not None, self.filter is not None, self.all].count(True) != 1:
            raise BadRequestError("say which letters: either 'ids', 'filter' or \"all\": true")
        if self.ids is not None:
            return self.ids
        if self.filter is None:
            return LetterFilter()
        which = self.filter.as_filter(now_ms)
        if which.is_empty:
            raise BadRequestError('the filter is empty: say "all": true to mean every letter')
        return which


class ReplayOrder(DiscardOrder):
    """Which letters, and how fast."""

    rate: Annotated[float, Field(gt=0, le=PER_SECOND_MAX)] | None = None
    """Letters a second."""


class LetterErrorView(ViewModel):
    """What went wrong."""

    code: str
    node: str | None
    message: str


class LetterBrief(ViewModel):
    """A letter without its content."""

    letter_id: str
    sequence: int
    """Its place: ``@SEQUENCE`` is its other name."""
    reason: str
    failed_ms: int
    stored_ms: int
    can_redrive: bool
    error: LetterErrorView
    flow: str | None
    flow_version: str | None
    attempts: int
    path: list[str]
    event_id: str | None
    event_type: str | None
    parent_run_id: str | None


class DamagedLetter(ViewModel):
    """A letter that cannot be read. It can be discarded."""

    letter_id: str
    sequence: int
    reason: str
    failed_ms: int
    stored_ms: int
    can_redrive: Literal[False]
    damage: str | None


class LetterView(LetterBrief):
    """A letter whole, its event and what is kept of its bytes (base64) included."""

    model_config = ConfigDict(extra="allow")

    event: dict[str, Any] | None


class LetterPageView(PageView):
    """Letters, in the order asked for."""

    tenant: str
    letters: list[LetterBrief | DamagedLetter]
    next_after: int | None


class LetterFailure(ViewModel):
    """A letter that could not be done."""

    letter_id: str
    why: str


class LetterReport(ViewModel):
    """What a replay or a discard came to."""

    tenant: str
    dry_run: bool
    chosen: int
    done: int
    not_redrivable: int
    failed: int
    failures: list[LetterFailure]
    has_more: bool
    """The limit was reached: more letters may be meant."""
    stopped: str | None
    """Why it ended early. What is done stays done."""
