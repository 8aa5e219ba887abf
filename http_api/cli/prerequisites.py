"""What a command needs before it can begin: settings and the Node parts."""

from __future__ import annotations

from pydantic import ValidationError

from runtime.node_parts import NodeParts, NodePartsError, prepare
from runtime.settings import Settings

from .terminal import Problem, say


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


def node_parts(settings: Settings) -> NodeParts:
    """The Node parts, installed first where that is still to be done (blocking)."""
    try:
        return prepare(settings.data_dir, say)
    except NodePartsError as error:
        raise Problem(str(error)) from None
    except OSError as error:
        raise Problem(f"the data directory cannot be used: {error}") from None
