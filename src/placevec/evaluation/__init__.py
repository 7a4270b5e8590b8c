"""How good vectors are, honestly: spatial blocks, floors that need no learning, paired intervals."""

from placevec.evaluation.labels import label_tasks
from placevec.evaluation.report import Report, evaluate
from placevec.evaluation.tasks import Task, landuse_task, poi_task

__all__ = ["Report", "Task", "evaluate", "label_tasks", "landuse_task", "poi_task"]
