"""The configuration of Multi Model Server: config.properties and logging."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

HOST = "127.0.0.1"
LAST_PORT = 49150  # the highest that Multi Model Server accepts
RESPONSE_SECONDS = 60  # for a worker to load the network, or to answer a batch; then it is replaced

# Java's heap holds the queued requests, its direct memory those that are arriving: what does not fit gets 507, or no
# answer. A body larger than max_request_size, which is the handler's MOST_BYTES, gets an empty 413.
CONFIG = """\
inference_address=http://{host}:{port}
management_address={management}
model_store={store}
{models}default_workers_per_model={workers}
job_queue_size=50
decode_input_request=false
max_request_size=10000000
default_response_timeout_seconds={timeout}
preload_model=false
async_logging=true
number_of_gpu=0
blacklist_env_vars=.*(KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL).*
vmargs=-Xmx1g -XX:MaxDirectMemorySize=512m
"""

SERVER_LOG, METRICS_LOG = "server.log", "model_metrics.log"
# By default the server logs several lines a request. This keeps only warnings and the handler's times, 30 MB of each.
LOG4J = """\
<?xml version="1.0" encoding="UTF-8"?>
<Configuration>
  <Appenders>
    <RollingFile name="server" fileName="${env:LOG_LOCATION:-logs}/server.log"
        filePattern="${env:LOG_LOCATION:-logs}/server.%i.log">
      <PatternLayout pattern="%d{ISO8601} [%-5p] %c - %m%n"/>
      <SizeBasedTriggeringPolicy size="10 MB"/>
      <DefaultRolloverStrategy max="2"/>
    </RollingFile>
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
    <Root level="warn"><AppenderRef ref="server"/></Root>
  </Loggers>
</Configuration>
"""


class Settings(NamedTuple):
    """How to serve a model."""

    port: int = 8080
    workers: int = 1
    batch_size: int = 1  # most requests in a batch
    batch_delay: int = 10  # milliseconds to wait for a full batch
    user: str | None = None  # who runs the server; only root can name another user


def config_properties(settings: Settings, folder: Path, store: Path, models: str = "") -> str:
    """Return config.properties, with a management socket in `folder`. `models` are loaded when the server starts."""
    return CONFIG.format(
        host=HOST,
        port=settings.port,
        management=f"unix:{_escaped(folder / 'management')}",
        store=_escaped(store),
        models=f"load_models={_escaped(models)}\n" if models else "",
        workers=settings.workers,
        timeout=RESPONSE_SECONDS,
    )


def _escaped(text: str | Path) -> str:
    """Escape a value of a Java properties file."""
    return "".join(c if c.isascii() else f"\\u{ord(c):04x}" for c in str(text).replace("\\", "\\\\"))
