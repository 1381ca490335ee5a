#!/usr/bin/env python3
"""Prints an event file in hexadecimal, a record a line, as TensorBoard's own
writer and messages make it.

    python scripts/golden/tfevents.py > internal/tfevents/testdata/golden.hex

Needs tensorboard. What is in it, the Go test says again.
"""
import io

from tensorboard.compat.proto import event_pb2
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from tensorboard.summary.writer.record_writer import RecordWriter

T = 1.5e9


def record(*values, **fields):
    if values:
        fields["summary"] = Summary(value=values)
    out = io.BytesIO()
    out.close = out.flush
    RecordWriter(out).write(event_pb2.Event(**fields).SerializeToString(deterministic=True))
    print(out.getvalue().hex())


def session(tag, **data):
    m = metadata.create_summary_metadata(HParamsPluginData(**data))
    m.data_class = DATA_CLASS_TENSOR
    return Summary.Value(tag=tag, tensor=metadata.NULL_TENSOR, metadata=m)




def start(name, kind, value):
    """Of one hyperparameter: protobuf writes several in any order."""
    s = SessionStartInfo(group_name="g", start_time_secs=T)
    setattr(s.hparams[name], kind, value)
    record(session(metadata.SESSION_START_INFO_TAG, session_start_info=s), wall_time=T)


record(wall_time=T, file_version="brain.Event:2")
start("batch", "number_value", 128)
start("flip", "bool_value", False)
start("optimizer", "string_value", "sgd")
record(Summary.Value(tag="step/loss", simple_value=0.5), Summary.Value(tag="step/accuracy", simple_value=0), wall_time=T + 1, step=50)
record(Summary.Value(tag="images", image=Summary.Image(height=2, width=3, colorspace=1, encoded_image_string=b"png")), wall_time=T + 2, step=50)
record(session(metadata.SESSION_END_INFO_TAG, session_end_info=SessionEndInfo(status=STATUS_SUCCESS, end_time_secs=T + 3)), wall_time=T + 3, step=100)
