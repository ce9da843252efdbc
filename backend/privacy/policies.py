"""How long something is kept, and since when it is over. Pure: no clock, no database."""

from datetime import UTC, date, datetime, time, timedelta

from mlplatform.spec.model import ModelSpec, Retention

_FAR = datetime(9999, 1, 1, tzinfo=UTC)


def shorter(*spans: timedelta | None) -> timedelta | None:
    """Return the shortest of these spans; ``None`` says nothing, and of nothing but that comes "for ever"."""
    said = [span for span in spans if span is not None]
    return min(said) if said else None


def over_since(at: datetime, keep: timedelta) -> datetime:
    """Return when something of that time is over."""
    return _FAR if keep >= _FAR - at else at + keep


def is_over(at: datetime, keep: timedelta | None, now: datetime) -> bool:
    """Say whether something is over; what is from the future, as after a clock went back, is not."""
    return keep is not None and at <= now and over_since(at, keep) <= now


def end_of(day: date) -> datetime:
    """Return when a day is complete: partitions are as old as the end of their day."""
    return datetime.combine(day, time(), UTC) + timedelta(days=1)


def retention_of(spec: dict[str, object] | None) -> Retention:
    """Return what a registered ``model.yaml`` says of retention; its defaults for one that can't be read any more."""
    if spec is None:
        return Retention()
    try:
        return ModelSpec.model_validate(spec).retention
    except ValueError:
        return Retention()
