"""Labels: given by hand, learned by a linear probe, predicted everywhere; the least certain places are offered next."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from placevec.app.labels import Labels, Prediction, learn, read_labels, to_label_next
from placevec.app.pictures import pictures_of
from placevec.app.project import Project
from placevec.app.space import colorings_content, read_selection, show_space
from placevec.app.texts import name_of, plain
from placevec.errors import PlacevecError
from placevec.explorer.coloring import COLORS, Coloring, by_category, by_number

_OFFERED = 10


def show(project: Project) -> None:
    """Give labels, see what a probe makes of them, and save them."""
    labels = labels_of(project)
    last = read_selection(st.session_state.get("label_space"), project)
    chosen = list(last.selected) or ([last.focus] if last.focus else [])
    with st.sidebar:
        new = st.text_input(
            "Class", key="new_class", placeholder=", ".join(labels.classes[:3]) or "residential"
        )
        name = new.strip() or (labels.classes[0] if labels.classes else "")
        st.button(
            f"Label {len(chosen):,} selected", on_click=_give, args=(labels, chosen, name), key="label_selected",
            disabled=not (chosen and name), width="stretch",
        )  # fmt: skip
        st.button(
            "Remove these labels",
            on_click=_give,
            args=(labels, chosen, None),
            key="unlabel",
            disabled=not chosen,
            width="stretch",
        )
        _files(project, labels)
    at = [row for one in labels.of if (row := project.row_of.get(one)) is not None]
    names = [labels.of[str(project.table.place_id[row])] for row in at]
    prediction = None
    if len(set(names)) > 1:
        learned = tuple(zip(at, names, strict=True))
        prediction = project.latest(
            "prediction", learned, lambda: learn(project.table.vectors, at, names, project.table.lonlat)
        )
    _told(labels, prediction)
    show_space(
        project,
        "label_space",
        height=460,
        colorings=colorings_content(colorings(project, labels, prediction)),
    )
    st.markdown(
        "**Label next**: the places the probe is least sure of"
        if prediction
        else "**Label first**: places that differ"
    )
    _offer(project, labels, prediction, at)
    if labels.problem:
        st.warning(plain(labels.problem))


def labels_of(project: Project) -> Labels:
    """The labels of a project, shared by all browsers; kept beside the vectors."""
    path = project.path.with_name(f"{project.path.stem}.labels.csv")
    return project.once("labels", lambda: Labels.open(path, list(project.row_of)))


def colorings(project: Project, labels: Labels, prediction: Prediction | None) -> list[Coloring]:
    """The drawn places by predicted class, certainty and given label."""
    drawn = project.drawn
    if prediction is None:
        return [_given(project, labels, labels.classes)]
    names = [(name, COLORS[at % len(COLORS)]) for at, name in enumerate(prediction.classes)]
    note = f"Predicted by a linear probe from {prediction.learned:,} labeled places."
    return [
        by_category("predicted", "Predicted class", prediction.code[drawn.rows], names, note),
        by_number(
            "certainty",
            "Certainty of the prediction",
            prediction.margin[drawn.rows],
            note="Difference between the best class and the second best.",
        ),
        _given(project, labels, list(prediction.classes)),
    ]


def _given(project: Project, labels: Labels, classes: list[str]) -> Coloring:
    kinds = [(name, COLORS[at % len(COLORS)]) for at, name in enumerate(classes)]
    codes = [
        classes.index(labels.of[str(one)]) if str(one) in labels.of else len(kinds)
        for one in project.drawn.place_id
    ]
    return by_category("label", "Given label", np.array(codes, np.int64), [*kinds, ("no label", None)])


def _give(labels: Labels, places: list[str], name: str | None) -> None:
    try:
        labels.give(places, name)
    except PlacevecError as error:
        st.toast(plain(str(error)))


def _told(labels: Labels, prediction: Prediction | None) -> None:
    counts = pd.Series(list(labels.of.values()), dtype=object).value_counts()
    told = ", ".join(f"{plain(name)} {count:,}" for name, count in counts.items()) or "none yet"
    st.markdown(f"#### {len(labels.of):,} labels")
    st.caption(f"By class: {told}")
    if prediction is None:
        st.caption(
            "A probe needs two classes. Click a place or draw a box on the page, then label the selection."
        )
    elif prediction.accuracy == prediction.accuracy:
        st.caption(
            f"In held-out blocks, the probe is right for {prediction.accuracy:.0%} of labeled places; the most "
            f"frequent class alone is right for {prediction.chance:.0%}."
        )
    else:
        st.caption(
            "Too few labels, or too few places with coordinates, to estimate how often the probe is right."
        )


def _offer(project: Project, labels: Labels, prediction: Prediction | None, at: list[int]) -> None:
    rows = to_label_next(prediction, project.table.vectors, at, _OFFERED, project.drawn.seed).tolist()
    classes = labels.classes[:6]
    new = str(st.session_state.get("new_class", "")).strip()
    classes = list(dict.fromkeys([*classes, *([new] if new else [])]))
    for start in range(0, len(rows), 5):
        part = rows[start : start + 5]
        for column, row, picture in zip(st.columns(5), part, pictures_of(project, part), strict=False):
            place = str(project.table.place_id[row])
            with column:
                if picture is not None:
                    st.image(picture, width="stretch")
                said = "" if prediction is None else f"  \n{plain(prediction.classes[prediction.code[row]])}?"
                st.caption(f"{plain(name_of(project.table, row), 40)}{said}")
                if classes:
                    answer = st.selectbox(
                        "Class",
                        classes,
                        None,
                        key=f"offer_{place}_{len(labels.of)}",
                        placeholder="Class",
                        label_visibility="collapsed",
                    )
                    if answer is not None:
                        _give(labels, [place], str(answer))
                        st.rerun()


def _files(project: Project, labels: Labels) -> None:
    st.download_button(
        "Save labels (CSV)",
        labels.table(),
        labels.path.name,
        "text/csv",
        key="save_labels",
        disabled=not labels.of,
    )
    given = st.file_uploader(
        "Continue from a table", ["csv"], key="labels_file", max_upload_size=4, help="place_id, label"
    )
    if given is not None and st.session_state.get("labels_read") != given.file_id:
        st.session_state["labels_read"] = given.file_id
        try:
            held = read_labels(given.getvalue())
            known = {place: name for place, name in held.items() if place in project.row_of}
            if len(known) < len(held):
                lost = next(place for place in held if place not in known)
                st.warning(
                    f"{len(held) - len(known):,} of {len(held):,} labels belong to places that are not in this "
                    f"table, such as {plain(lost)}"
                )
            for name, places in _by_class(known).items():
                labels.give(places, name)
        except PlacevecError as error:
            st.error(plain(str(error)))
    if not labels.of:
        st.caption(f"Labels are kept in {plain(labels.path.name)}, next to the vectors.")
        return
    st.caption(f"Saved in {plain(labels.path.name)}, next to the vectors. {plain(_evaluable(labels))}")
    st.code(
        f"placevec evaluate {project.path.name} --labels {labels.path.name}", language=None, wrap_lines=True
    )


def _evaluable(labels: Labels) -> str:
    """Whether ``placevec evaluate`` takes the labels, and if not, which it needs."""
    from placevec.evaluation.tasks import MIN_PLACES as MIN_PER_CLASS

    names = list(labels.of.values())
    enough = sum(names.count(name) >= MIN_PER_CLASS for name in labels.classes)
    if enough >= 2:
        return "To compare the vectors with baselines on them:"
    return (
        f"Two classes with {MIN_PER_CLASS} labels each are needed to compare the vectors with baselines; "
        f"{enough} {'has' if enough == 1 else 'have'} as many so far."
    )


def _by_class(given: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for place, name in given.items():
        found.setdefault(name, []).append(place)
    return found
