"""What an operator can configure, and every bound of the product, by name.

Source: the process environment over the file ``.env.supabase`` in the working directory.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

# Variables that hold the runtime's own secrets: never passed on to a child process.
SECRET_VARIABLES = frozenset(
    {
        "SUPABASE_SERVICE_ROLE_KEY",
        "SUPABASE_JWT_SECRET",
        "SUPABASE_DB_URL",
        "ZAPVISOR_API_KEY",
    }
)


class Settings(BaseSettings):
    """Everything that can be set from outside; see ``.env.example`` for a commented list."""

    model_config = SettingsConfigDict(
        env_file=".env.supabase", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    supabase_url: str | None = Field(default=None, validation_alias="SUPABASE_URL")
    supabase_service_role_key: SecretStr | None = Field(
        default=None, validation_alias="SUPABASE_SERVICE_ROLE_KEY"
    )
    supabase_jwt_secret: SecretStr | None = Field(
        default=None, validation_alias="SUPABASE_JWT_SECRET"
    )
    host: str = Field(default="127.0.0.1", validation_alias="HOST")
    port: int = Field(default=3001, ge=0, le=65535, validation_alias="PORT")
    cors_origin: str = Field(default="", validation_alias="CORS_ORIGIN")
    environment: str = Field(
        default="production", validation_alias=AliasChoices("ZAPVISOR_ENV", "NODE_ENV")
    )
    data_dir: Path = Field(default=Path("data"), validation_alias="ZAPVISOR_DATA_DIR")
    api_key: SecretStr | None = Field(default=None, validation_alias="ZAPVISOR_API_KEY")
    local_supabase_port: int = Field(
        default=54321, ge=0, le=65535, validation_alias="ZAPVISOR_LOCAL_SUPABASE_PORT"
    )

    webhook_private_hosts: str = Field(
        default="", validation_alias="ZAPVISOR_WEBHOOK_PRIVATE_HOSTS"
    )

    lenient_fields: bool = Field(default=False, validation_alias="ZAPVISOR_LENIENT_FIELDS")

    @field_validator("supabase_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"https?://[^/\s]", value):
            raise ValueError("it must begin with https:// (the project's URL, without /rest/v1)")
        return value

    @field_validator("webhook_private_hosts")
    @classmethod
    def _hosts_with_ports(cls, value: str) -> str:
        for one in _listed(value):
            host, _, port = one.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65536:
                raise ValueError(f"{one!r} is not host:port")
        return value

    @property
    def webhook_exemptions(self) -> frozenset[tuple[str, int]]:
        """Hosts and ports where webhooks may go though they are not of the public internet."""
        pairs = (one.rpartition(":") for one in _listed(self.webhook_private_hosts))
        return frozenset((host.strip("[]").lower(), int(port)) for host, _, port in pairs)

    @field_validator("supabase_url", "supabase_service_role_key", "api_key", mode="before")
    @classmethod
    def _empty_means_unset(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def cors_origins(self) -> list[str]:
        """The allowed origins of browsers, as a list."""
        return _listed(self.cors_origin)

    @property
    def uses_local_stack(self) -> bool:
        """Whether the embedded PostgreSQL + PostgREST stands in for a Supabase project."""
        return self.supabase_url is None


def _listed(value: str) -> list[str]:
    return [one.strip() for one in value.split(",") if one.strip()]
