"""What Multi Model Server is told: config.properties, and what it logs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

HOST = "127.0.0.1"
LAST_PORT = 49151  # that the server takes

# Java's memory holds the requests of the queue. What is longer than max_request_size it answers with an empty 413, and
# what is shorter the handler answers, with a reason from 10 MB on.
CONFIG = """\
inference_address=http://{host}:{port}
management_address={management}
model_store={store}
{models}default_workers_per_model={workers}
job_queue_size=100
decode_input_request=false
max_request_size=25165824
default_response_timeout=30
preload_model=false
async_logging=true
number_of_gpu=0
blacklist_env_vars=.*(KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL).*
vmargs=-Xmx1g
"""

# By itself the server writes several lines a request, without end. Here are its warnings, and the handler's times.
LOG4J = """\
<?xml version="1.0" encoding="UTF-8"?>
<Configuration>
  <Appenders>
    <Console name="stdout" target="SYSTEM_OUT"><PatternLayout pattern="%d{ISO8601} [%-5p] %c - %m%n"/></Console>
    <RollingFile name="metrics" fileName="${env:METRICS_LOCATION:-logs}/model_metrics.log"
        filePattern="${env:METRICS_LOCATION:-logs}/model_metrics.%i.log">
      <PatternLayout pattern="%d{ISO8601} - %m%n"/>
      <SizeBasedTriggeringPolicy size="10 MB"/>
      <DefaultRolloverStrategy max="2"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <Logger name="MODEL_METRICS" level="all" additivity="false"><AppenderRef ref="metrics"/></Logger>
    <Logger name="ACCESS_LOG" level="off"/>
    <Logger name="MMS_METRICS" level="off"/>
    <Root level="warn"><AppenderRef ref="stdout"/></Root>
  </Loggers>
</Configuration>
"""


class Settings(NamedTuple):
    """How a model is served."""

    port: int = 8080
    workers: int = 1
    batch_size: int = 1  # the most requests that a worker takes at once
    batch_delay: int = 10  # milliseconds that it waits for them
    user: str | None = None  # whose processes they are; another one's than our own for root alone


def config_properties(settings: Settings, folder: Path, store: Path, models: str = "") -> str:
    """The server's config.properties. Its management is a socket in `folder`; `models` are loaded at the start."""
    return CONFIG.format(
        host=HOST,
        port=settings.port,
        management=f"unix:{_escaped(folder / 'management')}",
        store=_escaped(store),
        models=f"load_models={_escaped(models)}\n" if models else "",
        workers=settings.workers,
    )


def _escaped(text: str | Path) -> str:
    """As Java reads properties."""
    return "".join(c if c.isascii() else f"\\u{ord(c):04x}" for c in str(text).replace("\\", "\\\\"))
