package main

// The updates of optimisers are loops over rows without channels.

// p, g, square, mom; LR, Alpha, Momentum, Eps, Decay
var rmsprop = rowLoop{name: "rmsprop", data: 4, num: 5,
	body: func(a *asm, cut tail, data []string, r []any, t []vec) {
		lr, alpha, momentum, eps, decay := r[0], r[1], r[2], r[3], r[4]
		p, d, s, e, m := t[0], t[1], t[2], t[3], t[4]
		a.load(cut, data[0], p)
		a.load(cut, data[1], d)
		a.ins("VFMADD231PS", p, decay, d)
		a.load(cut, data[2], s)
		a.ins("VMOVAPS", d, e)
		a.ins("VFMSUB213PS", s, d, e)
		a.ins("VFMADD231PS", e, alpha, s)
		a.store(cut, s, data[2])
		a.ins("VADDPS", eps, s, e)
		a.ins("VSQRTPS", e, e)
		a.ins("VMULPS", lr, d, d)
		a.ins("VDIVPS", e, d, d)
		a.load(cut, data[3], m)
		a.ins("VFMADD213PS", d, momentum, m)
		a.store(cut, m, data[3])
		a.ins("VSUBPS", m, p, p)
		a.store(cut, p, data[0])
	},
}

// p, g, mom; -LR, Momentum, Decay
var sgd = rowLoop{name: "sgd", data: 3, num: 3,
	body: func(a *asm, cut tail, data []string, r []any, t []vec) {
		lr, momentum, decay := r[0], r[1], r[2]
		p, d, m := t[0], t[1], t[2]
		a.load(cut, data[0], p)
		a.load(cut, data[1], d)
		a.ins("VFMADD231PS", p, decay, d)
		a.load(cut, data[2], m)
		a.ins("VFMADD213PS", d, momentum, m)
		a.store(cut, m, data[2])
		a.ins("VFMADD231PS", m, lr, p)
		a.store(cut, p, data[0])
	},
}

// p, g, mean, square; LR*Unbias, Alpha, Beta, Eps, -Decay, UnbiasSquare
var adamw = rowLoop{name: "adamw", data: 4, num: 6,
	body: func(a *asm, cut tail, data []string, r []any, t []vec) {
		lr, alpha, beta, eps, decay, unbias := r[0], r[1], r[2], r[3], r[4], r[5]
		p, d, m, s, e := t[0], t[1], t[2], t[3], t[4]
		a.load(cut, data[1], d)
		a.load(cut, data[2], m)
		a.ins("VSUBPS", m, d, e)
		a.ins("VFMADD231PS", e, alpha, m)
		a.store(cut, m, data[2])
		a.load(cut, data[3], s)
		a.ins("VFMSUB213PS", s, d, d)
		a.ins("VFMADD231PS", d, beta, s)
		a.store(cut, s, data[3])
		a.ins("VMULPS", unbias, s, s)
		a.ins("VSQRTPS", s, s)
		a.ins("VADDPS", eps, s, s)
		a.ins("VMULPS", lr, m, m)
		a.ins("VDIVPS", s, m, m)
		a.load(cut, data[0], p)
		a.ins("VFMADD231PS", p, decay, p)
		a.ins("VSUBPS", m, p, p)
		a.store(cut, p, data[0])
	},
}

// avg, p; weight
var average = rowLoop{name: "average", data: 2, num: 1,
	body: func(a *asm, cut tail, data []string, r []any, t []vec) {
		a.load(cut, data[0], t[0])
		a.load(cut, data[1], t[1])
		a.ins("VSUBPS", t[0], t[1], t[1])
		a.ins("VFMADD231PS", t[1], r[0], t[0])
		a.store(cut, t[0], data[0])
	},
}
