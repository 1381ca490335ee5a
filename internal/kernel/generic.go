package kernel

// Generic is the pure-Go implementation, the definition of every kernel.
var Generic = Impl{
	Name: "go", MR: 4, NR: 4,
	Gemm:             gemmGo,
	Conv:             convGo,
	Panel:            convPanelGo,
	Lanes:            convLanesGo,
	ScaleRows:        scaleRowsGo,
	WinogradInput:    winogradInputGo,
	WinogradOutput:   winogradOutputGo,
	WinogradGradient: winogradGradientGo,
	MinWinograd:      1 << 30, // the transforms cost more than they save
	Depthwise:        depthwiseGo,
	DWBackwardInput:  dwBackwardInputGo,
	DWBackwardWeight: dwBackwardWeightGo,
	ScaleAct:         scaleActGo,
	Moments:          momentsGo,
	ActBackward:      actBackwardGo,
	Affine2:          affine2Go,
	SumRows:          sumRowsGo,
	DotRows:          dotRowsGo,
	Add:              addGo,
	Axpy:             axpyGo,
	Apply:            applyGo,
	RMSProp:          rmspropGo,
	SGD:              sgdGo,
	AdamW:            adamwGo,
	Average:          averageGo,
	Peak:             peakGo,
	Stream:           streamGo,
}
