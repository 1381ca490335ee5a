"""config.json of models as timm pushes them to the hub: python weights_hub.py FOLDER

The folder is hub/testdata.
"""

import sys
from pathlib import Path

import timm
from timm.models._hub import save_config_for_hf

MODELS = [
    "efficientnet_b0.ra_in1k", "efficientnet_b1.ft_in1k", "efficientnet_b5.sw_in12k_ft_in1k",
    "tf_efficientnet_lite3.in1k", "tf_efficientnetv2_s.in21k_ft_in1k", "mobilenetv2_100.ra_in1k", "resnet50.a1_in1k",
]


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in MODELS:
        model = timm.create_model(name, pretrained=False)
        save_config_for_hf(model, folder / f"{name}.json")
    # A fine-tuned one: own classes, grey images, another size.
    model = timm.create_model("tf_efficientnet_b0", num_classes=3, in_chans=1)
    config = dict(num_classes=3, label_names=["cat", "dog", "eel"])
    save_config_for_hf(model, folder / "finetuned.json", model_config=config, model_args=dict(in_chans=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
