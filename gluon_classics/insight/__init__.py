"""What a network is made of, what it sees, which classes it confuses, and pages that show it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "confusion": ["confusion_matrix", "format_per_class", "per_class", "read_confusion", "write_confusion"],
        "mistakes": ["draw_mistakes"],
        "prediction_sheet": ["Tile", "draw_contact_sheet"],
        "report": ["open_report", "write_report"],
        "samples": ["draw_samples"],
        "summary": ["Layer", "Stage", "Summary", "summarize"],
        "tables": ["aligned", "caption", "layer_table", "short", "stage_table", "times"],
    },
)
