"""What an operator can configure, and every bound of the product, by name.

Source: the process environment over the file ``.env.supabase`` in the working directory. A value is
cleaned of what stands around it by accident (white space, line breaks, a byte order mark, quotes);
one of which nothing is left is not set. What cannot be meant is refused before anything starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from . import setting_values as values
from .redaction import SECRETS


def _text(check: Callable[[str], object]) -> Any:
    """Judge a text by ``check``, which raises ValueError; what it returns takes its place."""
    return BeforeValidator(lambda value: check(value) if isinstance(value, str) else value)


def _listed(value: str) -> list[str]:
    return [one for one in map(values.cleaned, value.split(",")) if one]


def _origins(value: str) -> str:
    return ",".join(map(values.origin, _listed(value)))


def _proved(value: str) -> str:
    if any(one.startswith("user_metadata") for one in _listed(value)):
        raise ValueError("users write user_metadata themselves; use a claim of app_metadata")
    return value


def _receivers(value: str) -> str:
    for place, one in enumerate(_listed(value), 1):
        try:
            values.host_with_port(one)
        except ValueError:
            raise ValueError(f"number {place} in it is not host:port") from None
    return value


def _project(value: str) -> str:
    return values.web_address(value, "the project's URL, without /rest/v1")


def _api(value: str) -> str:
    return values.web_address(value, "where the API answers", path=True)


Port = Annotated[int, _text(values.port)]


class Settings(BaseSettings):
    """Everything that can be set from outside; see ``.env.example`` for a commented list."""

    model_config = SettingsConfigDict(
        env_file=".env.supabase",
        env_file_encoding="utf-8-sig",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    supabase_url: Annotated[str | None, _text(_project)] = Field(
        default=None, validation_alias="SUPABASE_URL"
    )
    supabase_service_role_key: Annotated[SecretStr | None, _text(values.service_key)] = Field(
        default=None,
        validation_alias=AliasChoices("SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY"),
    )
    supabase_jwt_secret: Annotated[SecretStr | None, _text(values.signing_secret)] = Field(
        default=None, validation_alias="SUPABASE_JWT_SECRET"
    )
    supabase_db_url: Annotated[SecretStr | None, _text(values.database_address)] = Field(
        default=None, validation_alias="SUPABASE_DB_URL"
    )
    host: Annotated[str, AfterValidator(values.host)] = Field(
        default="127.0.0.1", validation_alias="HOST"
    )
    port: Port = Field(default=3001, ge=0, le=65535, validation_alias="PORT")
    cors_origin: Annotated[str, AfterValidator(_origins)] = Field(
        default="", validation_alias="CORS_ORIGIN"
    )
    environment: Annotated[str, AfterValidator(values.one_line)] = Field(
        default="production", validation_alias=AliasChoices("ZAPVISOR_ENV", "NODE_ENV")
    )
    data_dir: Annotated[Path, _text(values.one_line)] = Field(
        default=Path("data"), validation_alias="ZAPVISOR_DATA_DIR"
    )
    api_key: Annotated[SecretStr | None, _text(values.own_key)] = Field(
        default=None, validation_alias="ZAPVISOR_API_KEY"
    )
    api_url: Annotated[str | None, _text(_api)] = Field(
        default=None, validation_alias="ZAPVISOR_URL"
    )
    local_supabase_port: Port = Field(
        default=54321, ge=0, le=65535, validation_alias="ZAPVISOR_LOCAL_SUPABASE_PORT"
    )

    webhook_private_hosts: Annotated[str, AfterValidator(_receivers)] = Field(
        default="", validation_alias="ZAPVISOR_WEBHOOK_PRIVATE_HOSTS"
    )
    proxy_private_hosts: Annotated[str, AfterValidator(_receivers)] = Field(
        default="", validation_alias="ZAPVISOR_PROXY_PRIVATE_HOSTS"
    )

    lenient_fields: bool = Field(default=False, validation_alias="ZAPVISOR_LENIENT_FIELDS")
    max_connections_per_owner: int = Field(
        default=5, ge=0, validation_alias="ZAPVISOR_MAX_CONNECTIONS_PER_OWNER"
    )
    managers: Annotated[str, AfterValidator(_proved)] = Field(
        default="", validation_alias="ZAPVISOR_MANAGERS"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given to the constructor, over what is set outside."""
        outside = [cast(EnvSettingsSource, one) for one in (env_settings, dotenv_settings)]
        return init_settings, _Outside(settings_cls, [one.env_vars for one in outside])

    @field_validator("*", mode="before")
    @classmethod
    def _as_it_was_meant(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        clean = values.cleaned(value)
        if info.field_name in _SECRET_FIELDS:
            for one in (value, clean):
                SECRETS.learn(one)
            if info.field_name == "supabase_db_url":
                for one in values.passwords(value):
                    SECRETS.learn(one)
            return clean or None
        # Given to the constructor; what is empty outside never gets here.
        return clean or (None if info.field_name in ("supabase_url", "api_url") else clean)

    @property
    def webhook_exemptions(self) -> frozenset[tuple[str, int]]:
        """Hosts and ports where webhooks may go though they are not of the public internet."""
        return _pairs(self.webhook_private_hosts)

    @property
    def proxy_exemptions(self) -> frozenset[tuple[str, int]]:
        """Hosts and ports that anybody may use as proxy though they are not of the internet."""
        return _pairs(self.proxy_private_hosts)

    @property
    def named_managers(self) -> list[str]:
        """Users and claims of ``ZAPVISOR_MANAGERS``."""
        return _listed(self.managers)

    @property
    def cors_origins(self) -> list[str]:
        """The allowed origins of browsers, as a list."""
        return _listed(self.cors_origin)

    @property
    def uses_local_stack(self) -> bool:
        """Whether the embedded PostgreSQL + PostgREST stands in for a Supabase project."""
        return self.supabase_url is None


_SECRET_FIELDS = frozenset(
    {"supabase_service_role_key", "supabase_jwt_secret", "supabase_db_url", "api_key"}
)


class _Outside(PydanticBaseSettingsSource):
    """Variables, those of the first mapping over the others; an empty one counts as not there."""

    def __init__(
        self, settings_cls: type[BaseSettings], mappings: list[Mapping[str, str | None]]
    ) -> None:
        super().__init__(settings_cls)
        self._mappings = mappings

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value, and the name of the variable that it is in."""
        alias = field.validation_alias
        names = [str(one) for one in alias.choices] if isinstance(alias, AliasChoices) else [alias]
        for mapping in self._mappings:
            for name in map(str, names):
                value = mapping.get(name.lower())
                if value is not None and values.cleaned(value):
                    return value, name, False
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {}
        for field_name, field in self.settings_cls.model_fields.items():
            value, name, _ = self.get_field_value(field, field_name)
            if value is not None:
                found[name] = value
        return found


def _pairs(value: str) -> frozenset[tuple[str, int]]:
    return frozenset(map(values.host_with_port, _listed(value)))
