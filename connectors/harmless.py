"""What a product's file says about raising an alert that means nothing, to see the whole way work."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Harmless:
    """How anybody has the product raise one alert that means nothing: where, by which command, and what then appears."""

    where: str
    command: str
    appears: str
