package weights

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A pickle is a program for a small machine: one byte says what to do, its
// argument follows, values go on a stack, and a memo keeps those that are
// needed again. Python runs it by looking up any function the file names and
// calling it, so that opening a file can do anything at all. The machine here
// only builds the values below. A name from the file is looked up in a short
// table, and never leads to code: see globals.
//
//	None, bool, float64         as in Go
//	int64, bigInt               whole numbers
//	string, pyBytes             text and bytes
//	*pyTuple, *pyList, *pyDict  collections, a dict in order of insertion
//	*global                     a name from the table
//	storageView, *tensorRef     values of the file, not yet read
//	opaque                      a value that nobody here needs

type (
	bigInt  []byte // little-endian, two's complement, above 8 bytes
	pyBytes []byte
	pyTuple struct{ items []any }
	pyList  struct{ items []any }
	pyDict  struct{ pairs []pyPair }
	pyPair  struct{ key, value any }
	opaque  struct{}
)

// get is the value of a key, the last where it was set again.
func (d *pyDict) get(key string) (any, bool) {
	for i := len(d.pairs) - 1; i >= 0; i-- {
		if d.pairs[i].key == key {
			return d.pairs[i].value, true
		}
	}
	return nil, false
}

// pythonType names a value as Python's user knows it.
func pythonType(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "a bool"
	case int64, bigInt:
		return "an int"
	case float64:
		return "a float"
	case string:
		return "a str"
	case pyBytes:
		return "bytes"
	case *pyTuple:
		return "a tuple"
	case *pyList:
		return "a list"
	case *pyDict:
		return "a dict"
	case *global:
		return v.name
	case storageView:
		return "a storage"
	case *tensorRef:
		return "a tensor"
	}
	return "an object"
}

// The opcodes of protocols 2 to 5 that data needs.
const (
	opMark        = '('
	opStop        = '.'
	opPop         = '0'
	opPopMark     = '1'
	opDup         = '2'
	opBinFloat    = 'G'
	opBinInt      = 'J'
	opBinInt1     = 'K'
	opBinInt2     = 'M'
	opNone        = 'N'
	opBinPersID   = 'Q'
	opReduce      = 'R'
	opBinString   = 'T'
	opShortString = 'U'
	opBinUnicode  = 'X'
	opAppend      = 'a'
	opBuild       = 'b'
	opGlobal      = 'c'
	opDict        = 'd'
	opAppends     = 'e'
	opBinGet      = 'h'
	opLongBinGet  = 'j'
	opList        = 'l'
	opBinPut      = 'q'
	opLongBinPut  = 'r'
	opSetItem     = 's'
	opTuple       = 't'
	opSetItems    = 'u'
	opEmptyDict   = '}'
	opEmptyList   = ']'
	opEmptyTuple  = ')'
	opProto       = 0x80
	opNewObj      = 0x81
	opTuple1      = 0x85
	opTuple2      = 0x86
	opTuple3      = 0x87
	opNewTrue     = 0x88
	opNewFalse    = 0x89
	opLong1       = 0x8a
	opLong4       = 0x8b
	opBinBytes    = 'B'
	opShortBytes  = 'C'
	opShortUni    = 0x8c
	opBinUnicode8 = 0x8d
	opBinBytes8   = 0x8e
	opEmptySet    = 0x8f
	opAddItems    = 0x90
	opFrozenSet   = 0x91
	opStackGlobal = 0x93
	opMemoize     = 0x94
	opFrame       = 0x95
)

// Limits of a pickle. Every opcode is charged what it may keep alive at most,
// texts by their length beside it. A checkpoint of the largest network with
// the state of its optimiser takes half of the budget.
const (
	pickleBudget = 32 << 20 // bytes
	opCost       = 96
	maxLine      = 1000 // of a global's module or name
)

// unpickler runs one pickle. After the first error, which stays in err, every
// method returns at once.
type unpickler struct {
	src        *byteReader
	persistent func(id any) (any, error) // what a persistent id stands for
	stack      []any
	marks      []int // heights of the stack
	memo       map[uint64]any
	spent      int
	scratch    [8]byte
	err        error
}

// unpickle runs the pickle that src starts with, up to its STOP.
func unpickle(src *byteReader, persistent func(id any) (any, error)) (any, error) {
	p := &unpickler{src: src, persistent: persistent, memo: map[uint64]any{}}
	for p.err == nil {
		at := src.at
		op := p.u8()
		p.charge(opCost)
		if p.err != nil {
			break
		}
		if op == opStop {
			return p.pop(), p.err
		}
		p.step(op)
		if p.err == nil {
			continue
		}
		if f, ok := p.err.(*FormatError); ok {
			f.Msg = fmt.Sprintf("pickle byte %d: %s", at, f.Msg)
		}
	}
	return nil, p.err
}

func (p *unpickler) abort(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *unpickler) fail(format string, args ...any) {
	p.abort(&FormatError{Format: pytorch, Msg: fmt.Sprintf(format, args...)})
}

// charge pays for n bytes of memory.
func (p *unpickler) charge(n int) {
	if p.spent += n; p.spent > pickleBudget {
		p.abort(&UnsupportedError{Msg: fmt.Sprintf("the pickle builds more than %d MiB of objects", pickleBudget>>20)})
	}
}

func (p *unpickler) push(v any) { p.stack = append(p.stack, v) }

// floor is the height below which the values belong to an enclosing mark.
func (p *unpickler) floor() int {
	if n := len(p.marks); n > 0 {
		return p.marks[n-1]
	}
	return 0
}

func (p *unpickler) pop() any {
	n := len(p.stack) - 1
	if n < p.floor() {
		p.fail("the stack is empty")
		return nil
	}
	v := p.stack[n]
	p.stack[n] = nil
	p.stack = p.stack[:n]
	return v
}

// top is the value that pop would take.
func (p *unpickler) top() any {
	if len(p.stack) <= p.floor() {
		p.fail("the stack is empty")
		return nil
	}
	return p.stack[len(p.stack)-1]
}

// popMark takes the values above the last mark, and the mark. The result is
// a copy.
func (p *unpickler) popMark() []any {
	n := len(p.marks)
	if n == 0 {
		p.fail("no mark on the stack")
		return nil
	}
	from := p.marks[n-1]
	items := append([]any{}, p.stack[from:]...)
	clear(p.stack[from:])
	p.stack, p.marks = p.stack[:from], p.marks[:n-1]
	return items
}

func (p *unpickler) popN(n int) []any {
	items := make([]any, n)
	for i := n - 1; i >= 0; i-- {
		items[i] = p.pop()
	}
	return items
}

func (p *unpickler) u8() byte { return p.number(1)[0] }

func (p *unpickler) u16() uint16 { return binary.LittleEndian.Uint16(p.number(2)) }

func (p *unpickler) u32() uint32 { return binary.LittleEndian.Uint32(p.number(4)) }

func (p *unpickler) u64() uint64 { return binary.LittleEndian.Uint64(p.number(8)) }

// number reads n bytes, at most 8, into scratch that the next call reuses.
func (p *unpickler) number(n int) []byte {
	p.read(p.scratch[:n])
	return p.scratch[:n]
}

// read fills b; after an error it is zero.
func (p *unpickler) read(b []byte) {
	if p.err == nil {
		p.abort(p.src.read(b))
	}
	if p.err != nil {
		clear(b)
	}
}

// text reads a string's n bytes.
func (p *unpickler) text(n uint64) []byte {
	if n > pickleBudget {
		p.fail("a string of %d bytes, want at most %d", n, pickleBudget)
		return nil
	}
	if int64(n) > p.src.left {
		p.abort(p.src.short(int64(n)))
		return nil
	}
	// The bytes and, until they are collected, the string made of them.
	p.charge(2 * int(n))
	if p.err != nil {
		return nil
	}
	b := make([]byte, n)
	p.read(b)
	return b
}

func (p *unpickler) step(op byte) {
	switch op {
	case opProto:
		if v := p.u8(); v > 5 {
			p.fail("protocol %d, want at most 5", v)
		}
	case opFrame:
		p.u64() // its length, a hint for readers that buffer

	case opMark:
		p.marks = append(p.marks, len(p.stack))
	case opPop:
		if n := len(p.marks); n > 0 && p.marks[n-1] == len(p.stack) {
			p.marks = p.marks[:n-1]
		} else {
			p.pop()
		}
	case opPopMark:
		p.popMark()
	case opDup:
		p.push(p.top())

	case opNone:
		p.push(nil)
	case opNewTrue:
		p.push(true)
	case opNewFalse:
		p.push(false)
	case opBinInt:
		p.push(int64(int32(p.u32())))
	case opBinInt1:
		p.push(int64(p.u8()))
	case opBinInt2:
		p.push(int64(p.u16()))
	case opLong1:
		p.long(uint64(p.u8()))
	case opLong4:
		p.long(uint64(p.u32()))
	case opBinFloat:
		p.push(math.Float64frombits(binary.BigEndian.Uint64(p.number(8))))

	case opShortUni, opShortString:
		p.push(string(p.text(uint64(p.u8()))))
	case opBinUnicode, opBinString:
		p.push(string(p.text(uint64(p.u32()))))
	case opBinUnicode8:
		p.push(string(p.text(p.u64())))
	case opShortBytes:
		p.push(pyBytes(p.text(uint64(p.u8()))))
	case opBinBytes:
		p.push(pyBytes(p.text(uint64(p.u32()))))
	case opBinBytes8:
		p.push(pyBytes(p.text(p.u64())))

	case opEmptyTuple:
		p.push(&pyTuple{})
	case opTuple1:
		p.push(&pyTuple{p.popN(1)})
	case opTuple2:
		p.push(&pyTuple{p.popN(2)})
	case opTuple3:
		p.push(&pyTuple{p.popN(3)})
	case opTuple:
		p.push(&pyTuple{p.popMark()})
	case opEmptyList:
		p.push(&pyList{})
	case opList:
		p.push(&pyList{p.popMark()})
	case opEmptyDict:
		p.push(&pyDict{})
	case opDict:
		d := &pyDict{}
		p.set(d, p.popMark())
		p.push(d)
	case opEmptySet:
		p.push(opaque{})
	case opFrozenSet:
		p.popMark()
		p.push(opaque{})

	case opAppend:
		p.extend([]any{p.pop()})
	case opAppends:
		p.extend(p.popMark())
	case opSetItem:
		pair := p.popN(2)
		p.setOn(p.top(), pair)
	case opSetItems:
		items := p.popMark()
		p.setOn(p.top(), items)
	case opAddItems:
		p.popMark()
		if v, ok := p.top().(opaque); !ok {
			p.fail("adds to %s, want a set", pythonType(v))
		}

	case opBinGet:
		p.get(uint64(p.u8()))
	case opLongBinGet:
		p.get(uint64(p.u32()))
	case opBinPut:
		p.put(uint64(p.u8()))
	case opLongBinPut:
		p.put(uint64(p.u32()))
	case opMemoize:
		p.put(uint64(len(p.memo)))

	case opGlobal:
		module := p.line()
		p.global(module, p.line())
	case opStackGlobal:
		names := p.popN(2)
		module, ok1 := names[0].(string)
		name, ok2 := names[1].(string)
		if !ok1 || !ok2 {
			p.fail("a global is named by %s and %s, want two strings", pythonType(names[0]), pythonType(names[1]))
			return
		}
		p.global(module, name)
	case opReduce, opNewObj:
		args := p.pop()
		p.push(p.reduce(p.pop(), args))
	case opBuild:
		p.pop()
		p.build(p.top())
	case opBinPersID:
		p.charge(storageCost)
		id := p.pop()
		if p.err != nil {
			return
		}
		v, err := p.persistent(id)
		if err != nil {
			p.abort(err)
		}
		p.push(v)
	default:
		p.fail("opcode %#02x is unknown or has no place in a file of weights", op)
	}
}

// long pushes a whole number of n bytes.
func (p *unpickler) long(n uint64) {
	b := p.text(n)
	if len(b) > 8 {
		p.push(bigInt(b))
		return
	}
	var v uint64
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	if k := len(b); k > 0 {
		v = uint64(int64(v<<(64-8*k)) >> (64 - 8*k))
	}
	p.push(int64(v))
}

func (p *unpickler) line() string {
	if p.err != nil {
		return ""
	}
	s, err := p.src.line(maxLine)
	if err != nil {
		p.abort(err)
	}
	p.charge(len(s))
	return s
}

func (p *unpickler) extend(items []any) {
	l, ok := p.top().(*pyList)
	if !ok {
		p.fail("appends to %s, want a list", pythonType(p.top()))
		return
	}
	l.items = append(l.items, items...)
}

func (p *unpickler) setOn(target any, items []any) {
	d, ok := target.(*pyDict)
	if !ok {
		p.fail("sets items of %s, want a dict", pythonType(target))
		return
	}
	p.set(d, items)
}

// set adds key, value, key, value, ... to d.
func (p *unpickler) set(d *pyDict, items []any) {
	if len(items)%2 != 0 {
		p.fail("%d keys and values for a dict, want an even number", len(items))
		return
	}
	for i := 0; i < len(items); i += 2 {
		d.pairs = append(d.pairs, pyPair{items[i], items[i+1]})
	}
}

func (p *unpickler) get(i uint64) {
	v, ok := p.memo[i]
	if !ok {
		p.fail("memo entry %d was never set", i)
		return
	}
	p.push(v)
}

func (p *unpickler) put(i uint64) { p.memo[i] = p.top() }
