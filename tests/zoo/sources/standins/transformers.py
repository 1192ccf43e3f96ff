"""What archbench asks of transformers, by its documentation, with a network of one layer."""

import json
from pathlib import Path
from types import SimpleNamespace

from torch import nn

__version__ = "0"


class PreTrainedConfig:
    pass


class TinyConfig(PreTrainedConfig):
    def __init__(self, width=4, num_labels=3, image_size=(32, 64), architectures=None, **_):
        self.width, self.num_labels, self.image_size = width, num_labels, image_size
        self.architectures, self.use_pretrained_backbone = architectures, True


class AutoConfig:
    @staticmethod
    def from_pretrained(folder, local_files_only, trust_remote_code):
        assert local_files_only
        assert not trust_remote_code
        return TinyConfig(**json.loads(Path(folder, "config.json").read_text()))


class PreTrainedModel(nn.Module):
    main_input_name = "pixel_values"


class TinyForObjectDetection(PreTrainedModel):
    config_class = TinyConfig

    def __init__(self, config):
        super().__init__()
        assert not config.use_pretrained_backbone
        self.layer = nn.Conv2d(3, config.width * config.num_labels, 1, bias=False)

    def forward(self, pixel_values):
        return SimpleNamespace(logits=self.layer(pixel_values))


class StagedConfig(TinyConfig):
    stage_names = ("stage1", "stage2")
    out_features = ("stage2",)


class StagedForImageClassification(TinyForObjectDetection):
    """A classifier with the configuration of a backbone."""

    config_class = StagedConfig


class BareBackbone(TinyForObjectDetection):
    """A backbone whose configuration names no stages."""


class TinyModel(TinyForObjectDetection):
    main_input_name = "input_ids"


def pipeline(config):
    raise AssertionError("a configuration has a function called")
