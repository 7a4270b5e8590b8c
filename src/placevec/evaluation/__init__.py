"""Evaluation of vectors: spatial blocks, baselines that need no learning, paired intervals."""

from placevec.evaluation.osm_tasks import landuse_task, poi_task
from placevec.evaluation.report import Report
from placevec.evaluation.tasks import Task
from placevec.evaluation.user_labels import label_tasks
from placevec.evaluation.vectors import evaluate

__all__ = ["Report", "Task", "evaluate", "label_tasks", "landuse_task", "poi_task"]
