"""What a command needs before it can begin: settings and the Node parts."""

from __future__ import annotations

from pydantic import ValidationError

from runtime.node_parts import NodeParts, NodePartsError, prepare
from runtime.settings import Settings

from .terminal import Problem, say, system_error


def load_settings() -> Settings:
    """The settings of the environment and ``.env.supabase``; Problem names every bad one."""
    try:
        return Settings()
    except ValidationError as error:
        bad = "; ".join(
            f"{item['loc'][0]}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_input=False, include_context=False, include_url=False)
        )
        raise Problem(f"the settings are not usable: {bad}") from None
    except UnicodeDecodeError:
        raise Problem(".env.supabase cannot be read: save it as UTF-8") from None
    except OSError as error:
        raise Problem(f".env.supabase cannot be read: {system_error(error)}") from None


def node_parts(settings: Settings) -> NodeParts:
    """The Node parts, installed first where that is still to be done (blocking)."""
    try:
        return prepare(settings.data_dir, say)
    except NodePartsError as error:
        raise Problem(str(error)) from None
    except OSError as error:
        raise Problem(f"the data directory cannot be used: {system_error(error)}") from None
