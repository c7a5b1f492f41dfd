"""What every table of a lesson file has in common."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A mapping of a lesson file: frozen, unknown keys rejected, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)
