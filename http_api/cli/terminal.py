"""What the commands share: the one kind of expected failure, and the settings."""

from __future__ import annotations

from pydantic import ValidationError

from runtime.settings import Settings


class Problem(Exception):
    """Something that the operator can mend; the message is one sentence saying what and how."""


def load_settings() -> Settings:
    """The settings of the environment and ``.env.supabase``; Problem names every bad one."""
    try:
        return Settings()
    except ValidationError as error:
        bad = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)
        )
        raise Problem(f"the settings are not usable: {bad}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f".env.supabase cannot be read: {error}") from None
