"""What can be set, and where each setting comes from: options, environment, file, defaults, in that order.

One name per setting, spelled three ways: ``rest_port`` in ``dfml.yaml``, ``DFML_REST_PORT`` in the environment and
``--rest-port`` on the command line. Every wrong one is reported at once, each with the place it came from.
"""

from dfml.settings.checks import KAFKA_SCHEME, SQLITE_SCHEME, Delivery, Durability, LogFormat
from dfml.settings.kafka import ClientProperties, KafkaOptions
from dfml.settings.settings import VARIABLE_PREFIX, Settings, setting_names, to_environment, variable_name
from dfml.settings.sources import SETTINGS_FILE, given_settings, load_settings

__all__ = [
    "KAFKA_SCHEME",
    "SETTINGS_FILE",
    "SQLITE_SCHEME",
    "VARIABLE_PREFIX",
    "ClientProperties",
    "Delivery",
    "Durability",
    "KafkaOptions",
    "LogFormat",
    "Settings",
    "given_settings",
    "load_settings",
    "setting_names",
    "to_environment",
    "variable_name",
]
