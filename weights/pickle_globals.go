package weights

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// GlobalError is a function or class that a pickle asks for and that is not
// among the few whose meaning this package knows. Nothing was run.
type GlobalError struct{ Name string }

func (e *GlobalError) Error() string {
	return fmt.Sprintf("the file asks for the Python object %s, which is not part of plain weights; "+
		"if you trust the file, save its state_dict() from Python", quote(e.Name))
}

// global is a name that a pickle may use.
type global struct {
	name  string
	means meaning
	dtype *dtype // of a storage class
}

// meaning is what the machine does where Python would call a global.
type meaning uint8

const (
	makesOpaque    meaning = iota + 1 // a value nobody here needs
	makesDict                         // OrderedDict(), OrderedDict([(k, v), ...])
	makesTuple                        // torch.Size((2, 3))
	makesTensor                       // (storage, offset, size, stride, ...)
	makesParameter                    // (tensor, ...)
	makesSubclass                     // (function, type, arguments, state)
	isStorage                         // a class, named in the id of a storage
)

// globals is every name a pickle may use. A checkpoint holds more than
// weights: what is known to carry settings or counts becomes an opaque value.
var globals = func() map[string]*global {
	m := map[string]*global{}
	add := func(means meaning, names ...string) {
		for _, name := range names {
			m[name] = &global{name: name, means: means}
		}
	}
	add(makesDict, "collections.OrderedDict", "builtins.dict", "__builtin__.dict")
	add(makesTuple, "torch.Size")
	add(makesTensor, "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
	add(makesParameter, "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch.nn.parameter.Parameter")
	add(makesSubclass, "torch._tensor._rebuild_from_type_v2")
	add(makesOpaque,
		"torch.Tensor", "torch.device", "torch.serialization._get_layout",
		"builtins.set", "__builtin__.set", "builtins.frozenset", "builtins.bytearray", "__builtin__.bytearray", "builtins.complex", "__builtin__.complex",
		"_codecs.encode", "collections.Counter", "argparse.Namespace",
		"numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
	for _, name := range strings.Fields("float64 float32 float16 bfloat16 double float half " +
		"int64 int32 int16 int8 uint8 long int short bool complex64 complex128") {
		add(makesOpaque, "torch."+name)
	}
	for class, dtype := range map[string]string{
		"DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
		"LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
		"ByteStorage": "U8", "BoolStorage": "BOOL", "ComplexFloatStorage": "C64",
	} {
		for _, module := range []string{"torch.", "torch.cuda."} {
			m[module+class] = &global{name: module + class, means: isStorage, dtype: dtypeByName(dtype)}
		}
	}
	return m
}()

func (p *unpickler) global(module, name string) {
	if p.err != nil {
		return
	}
	g := globals[module+"."+name]
	if g == nil {
		p.abort(&GlobalError{module + "." + name})
		return
	}
	p.push(g)
}

// reduce is what Python's call f(*args) would give.
func (p *unpickler) reduce(f, args any) any {
	if p.err != nil {
		return nil
	}
	g, ok1 := f.(*global)
	a, ok2 := args.(*pyTuple)
	if !ok1 || !ok2 {
		p.fail("calls %s with %s, want a global and a tuple", pythonType(f), pythonType(args))
		return nil
	}
	switch g.means {
	case makesOpaque:
		return opaque{}
	case makesDict:
		return p.newDict(g, a.items)
	case makesTuple:
		if len(a.items) == 1 {
			if t, ok := a.items[0].(*pyTuple); ok {
				return t
			}
		}
	case makesTensor:
		return p.newTensor(g, a.items)
	case makesParameter:
		if len(a.items) > 0 {
			if t, ok := a.items[0].(*tensorRef); ok {
				return t
			}
		}
	case makesSubclass:
		if len(a.items) == 4 {
			if inner, ok := a.items[0].(*global); ok && inner.means != makesSubclass {
				return p.reduce(inner, a.items[2])
			}
		}
	}
	p.fail("calls %s in a way it is not meant for", g.name)
	return nil
}

func (p *unpickler) newDict(g *global, args []any) any {
	d := &pyDict{}
	if len(args) == 0 {
		return d
	}
	l, ok := args[0].(*pyList)
	if !ok || len(args) > 1 {
		p.fail("calls %s with %s, want nothing or one list", g.name, pythonType(args[0]))
		return nil
	}
	p.charge(opCost * len(l.items))
	for _, item := range l.items {
		var pair []any
		switch item := item.(type) {
		case *pyTuple:
			pair = item.items
		case *pyList:
			pair = item.items
		}
		if len(pair) != 2 || p.err != nil {
			p.fail("calls %s with a list of other things than pairs", g.name)
			return nil
		}
		p.set(d, pair)
	}
	return d
}

// build adds attributes to a value. Nothing here has any that matter.
func (p *unpickler) build(target any) {
	switch target.(type) {
	case opaque, *pyDict, *tensorRef:
	default:
		p.fail("sets the state of %s", pythonType(target))
	}
}

// storage is an array of one type in the file. Tensors are views of it.
type storage struct {
	key   string
	dtype *dtype
	elems int64
	at    int64 // of the first byte in the file; unknown while a legacy pickle runs
}

// storageView is a stretch of a storage.
type storageView struct {
	*storage
	first, elems int64
}

// tensorRef is a tensor as a pickle describes it: the element at index i, j,
// ... is that of the storage at offset + i*stride[0] + j*stride[1] + ...
type tensorRef struct {
	storage *storage
	offset  int64
	shape   []int
	stride  []int64
	elems   int64 // the product of shape
	span    int64 // from the first to behind the last element in the storage; 0 if there is none
}

// Memory that a tensor and a storage take beside their opcodes.
const (
	tensorCost  = 128
	rankCost    = 16
	storageCost = 192
)

func (p *unpickler) newTensor(g *global, args []any) any {
	if len(args) < 4 {
		p.fail("calls %s with %d arguments, want at least 4", g.name, len(args))
		return nil
	}
	view, ok1 := args[0].(storageView)
	offset, ok2 := args[1].(int64)
	shape, ok3 := args[2].(*pyTuple)
	stride, ok4 := args[3].(*pyTuple)
	switch {
	case !ok1 || !ok2 || !ok3 || !ok4:
		p.fail("a tensor of %s, %s, %s and %s, want a storage, an offset, a size and strides",
			pythonType(args[0]), pythonType(args[1]), pythonType(args[2]), pythonType(args[3]))
		return nil
	case len(shape.items) != len(stride.items):
		p.fail("a tensor of %d dimensions with %d strides", len(shape.items), len(stride.items))
		return nil
	case len(shape.items) > maxRank:
		p.abort(&UnsupportedError{Msg: fmt.Sprintf("a tensor has more than %d dimensions", maxRank)})
		return nil
	}
	p.charge(tensorCost + rankCost*len(shape.items))
	t := &tensorRef{storage: view.storage, shape: make([]int, len(shape.items)), stride: make([]int64, len(shape.items))}
	for i := range t.shape {
		d, ok1 := shape.items[i].(int64)
		s, ok2 := stride.items[i].(int64)
		if !ok1 || !ok2 || d < 0 || s < 0 || d > math.MaxInt {
			p.fail("a tensor's dimension %d is %s with stride %s, want whole numbers of 0 or more", i, number(shape.items[i]), number(stride.items[i]))
			return nil
		}
		t.shape[i], t.stride[i] = int(d), s
	}
	if !t.measure() {
		p.fail("a tensor's shape %v with strides %v overflows", t.shape, t.stride)
		return nil
	}
	if offset < 0 || offset > view.elems || t.span > view.elems-offset {
		p.fail("a tensor of shape %v with strides %v at %d does not lie within its storage of %d elements", t.shape, t.stride, offset, view.elems)
		return nil
	}
	t.offset = view.first + offset
	return t
}

// number prints a whole number, or what stands in its place.
func number(v any) string {
	if n, ok := v.(int64); ok {
		return strconv.FormatInt(n, 10)
	}
	return pythonType(v)
}

// measure sets elems and span, and reports whether they can be represented.
func (t *tensorRef) measure() bool {
	t.elems, t.span = 1, 1
	for _, d := range t.shape {
		if d == 0 {
			t.elems, t.span = 0, 0
			return true
		}
	}
	for i, d := range t.shape {
		hi, lo := bits.Mul64(uint64(t.elems), uint64(d))
		if hi != 0 || lo > math.MaxInt64 {
			return false
		}
		t.elems = int64(lo)
		hi, lo = bits.Mul64(uint64(d-1), uint64(t.stride[i]))
		if hi != 0 || lo > math.MaxInt64 || int64(lo) > math.MaxInt64-t.span {
			return false
		}
		t.span += int64(lo)
	}
	return true
}

// contiguous reports whether the elements lie one behind the other.
func (t *tensorRef) contiguous() bool {
	next := int64(1)
	for i := len(t.shape) - 1; i >= 0; i-- {
		if t.shape[i] != 1 && t.stride[i] != next {
			return false
		}
		next *= int64(t.shape[i])
	}
	return true
}
