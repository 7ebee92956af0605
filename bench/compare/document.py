"""The JSON of a run: what belongs in it, reading it back, and putting several runs into one."""
import json

SCHEMA = "ringway-compare/1"
TOP = {"schema": str, "machine": dict, "settings": dict, "contenders": dict, "rows": list, "targets": list}
ROW = {"name": str, "title": str, "group": str, "metric": str, "note": str, "varied": bool, "load": list, "features": dict, "measured": str,
       "rounds": int, "seconds": (int, float), "left_out": dict, "labels": dict, "configs": dict, "results": dict}
RESULT = {"metrics": dict, "failures": dict, "counts": bool, "why": str, "rounds": list}


def lacking(found, wanted, place):
    """Complaints, each as 'place.key: what was wanted'."""
    if not isinstance(found, dict):
        return [f"{place}: wanted an object"]
    complaints = []
    for key, kind in wanted.items():
        if not isinstance(found.get(key), kind) or (kind is int and isinstance(found[key], bool)):
            names = kind.__name__ if isinstance(kind, type) else "number"
            complaints.append(f"{place}.{key}: wanted {names}")
    return complaints


def complaints(document):
    """Everything that is wrong with a document; empty when it is a whole one."""
    found = lacking(document, TOP, "document")
    if found:
        return found
    if document["schema"] != SCHEMA:
        return [f"document.schema: wanted {SCHEMA}, found {document['schema']}"]
    for number, row in enumerate(document["rows"]):
        place = f"rows[{number}]"
        found += lacking(row, ROW, place)
        if found:
            continue
        for key, result in row["results"].items():
            found += lacking(result, RESULT, f"{place}.results.{key}")
            if key not in row["labels"]:
                found.append(f"{place}.labels.{key}: wanted a label for each result")
            for name, spread in result.get("metrics", {}).items():
                found += lacking(spread, dict.fromkeys(("median", "min", "max"), (int, float)), f"{place}.results.{key}.metrics.{name}")
    return found


def read(path):
    with open(path) as f:
        document = json.load(f)
    wrong = complaints(document)
    if wrong:
        raise ValueError(f"{path}: {wrong[0]}" + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""))
    return document


def merge(documents, order):
    """One document of several runs on one machine: each row from the last one that has it, in the order of `order`."""
    machines = {(d["machine"]["processor"], d["machine"]["kernel"], d["machine"]["cpus"]) for d in documents}
    if len(machines) > 1:
        raise ValueError("these runs are of different machines or kernels: they do not belong in one report")
    rows = {}
    for document in documents:
        for row in document["rows"]:
            rows[row["name"]] = dict(row, commit=row.get("commit") or document["machine"]["commit"])
    names = [name for name in order if name in rows] + [name for name in rows if name not in order]
    return dict(documents[-1], rows=[rows[name] for name in names],
                contenders={k: v for d in documents for k, v in d["contenders"].items()})
