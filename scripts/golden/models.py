"""The zoo's networks that timm has, with the resolution that ours have."""

B = dict(zip("b0 b1 b2 b3 b4 b5 b6 b7 b8 l2".split(), (224, 240, 260, 300, 380, 456, 528, 600, 672, 800)))
LITE = dict(lite0=224, lite1=240, lite2=260, lite3=280, lite4=300)
EDGE = dict(es=224, em=240, el=300)
V2 = dict(s=384, m=480, l=480, xl=512)

MODELS = {
    **{p + k: px for family in (B, LITE, EDGE) for p in ("efficientnet_", "tf_efficientnet_") for k, px in family.items()},
    **{p + k: px for p in ("efficientnetv2_", "tf_efficientnetv2_") for k, px in V2.items()},
    **dict(tf_efficientnetv2_b0=224, tf_efficientnetv2_b1=240, tf_efficientnetv2_b2=260, tf_efficientnetv2_b3=300),
    **dict(efficientnetv2_rw_t=288, efficientnetv2_rw_s=384, efficientnetv2_rw_m=416),
    **dict(tinynet_a=192, tinynet_b=188, tinynet_c=184, tinynet_d=152, tinynet_e=106),
    **{f"mobilenetv1_{k}": 224 for k in ("100", "125", "100h")},
    **{f"mobilenetv2_{k}": 224 for k in ("035", "050", "075", "100", "140", "110d", "120d")},
    **{f"resnet{k}": 224 for k in (18, 34, 50, 101, 152)},
    **dict(wide_resnet50_2=224, wide_resnet101_2=224),
}
