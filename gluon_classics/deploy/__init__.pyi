from .archive import pack as pack
from .exporting import Int8 as Int8
from .exporting import Trained as Trained
from .exporting import export as export
from .exporting import export_run as export_run
from .server import Server as Server
from .server import require_server as require_server
