package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"testing"
	"time"

	"effnet/internal/alloctest"
)

// pk assembles pickles. A string argument is opcodes as they are.
type pk []byte

func (p *pk) op(parts ...string) *pk {
	for _, s := range parts {
		*p = append(*p, s...)
	}
	return p
}

func (p *pk) str(s string) *pk {
	*p = binary.LittleEndian.AppendUint32(append(*p, opBinUnicode), uint32(len(s)))
	return p.op(s)
}

// num pushes a whole number of any size.
func (p *pk) num(n int64) *pk {
	*p = binary.LittleEndian.AppendUint64(append(*p, opLong1, 8), uint64(n))
	return p
}

func (p *pk) nums(ns ...int64) *pk {
	p.op("(")
	for _, n := range ns {
		p.num(n)
	}
	return p.op("t")
}

func (p *pk) call(name string) *pk {
	i := strings.LastIndexByte(name, '.')
	return p.op("c", name[:i], "\n", name[i+1:], "\n")
}

// ref describes a tensor: storage "0" of class with elems elements, and a view.
type ref struct {
	class          string
	elems, offset  int64
	shape, strides []int64
	view           string // opcodes for a legacy view
	legacy         bool
}

func (p *pk) tensor(r ref) *pk {
	if r.class == "" {
		r.class = "torch.FloatStorage"
	}
	p.call("torch._utils._rebuild_tensor_v2").op("(")
	p.op("(").str("storage").call(r.class).str("0").str("cpu").num(r.elems)
	if r.legacy {
		p.op(r.view)
	}
	return p.op("tQ").num(r.offset).nums(r.shape...).nums(r.strides...).op("\x89").call("collections.OrderedDict").op(")RtR")
}

// dict makes a pickle of {"w": value}.
func dict(value func(*pk)) []byte {
	p := new(pk).op("\x80\x02}").str("w")
	value(p)
	return *p.op("s.")
}

func one(r ref) []byte { return dict(func(p *pk) { p.tensor(r) }) }

// good is a tensor that fits 4 elements.
var good = ref{elems: 4, shape: []int64{2, 2}, strides: []int64{2, 1}}

// member is one entry of a zip file.
type member struct {
	name string
	data []byte
}

// stored makes a zip file.
func stored(members ...member) []byte { return zipped(zip.Store, members...) }

func zipped(method uint16, members ...member) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: method}
		if method == zip.Store {
			h.CRC32, h.UncompressedSize64, h.CompressedSize64 = crc32.ChecksumIEEE(m.data), uint64(len(m.data)), uint64(len(m.data))
			f, _ := w.CreateRaw(h)
			f.Write(m.data)
			continue
		}
		f, _ := w.CreateHeader(h)
		f.Write(m.data)
	}
	w.Close()
	return b.Bytes()
}

// archive is what torch.save makes of a pickle and storage "0".
func archive(pickle []byte, data int) []byte {
	return stored(member{"a/data.pkl", pickle}, member{"a/byteorder", []byte("little")}, member{"a/data/0", make([]byte, data)})
}

// legacyFile is what torch.save made of a pickle and storage "0" before.
func legacyFile(pickle []byte, elems uint64, data int) []byte {
	b := legacyHead()
	b = append(b, pickle...)
	b = append(b, *new(pk).op("\x80\x02]").str("0").op("a.")...)
	return append(binary.LittleEndian.AppendUint64(b, elems), make([]byte, data)...)
}

func legacyHead() []byte {
	p := new(pk).op("\x80\x02\x8a\x0a", legacyMagic, ".", "\x80\x02M\xe9\x03.", "\x80\x02}").str("little_endian").op("\x88s.")
	return *p
}

// edit changes a copy of b at an offset found by a search from the end.
func edit(b []byte, after string, skip int, with ...byte) []byte {
	c := bytes.Clone(b)
	i := bytes.LastIndex(c, []byte(after))
	copy(c[i+skip:], with)
	return c
}

type hostileFile struct {
	file []byte
	want string
}

var hostileTorch = sync.OnceValue(func() map[string]hostileFile {
	a := archive(one(good), 16)
	l := func(r ref) []byte { r.legacy = true; return one(r) }
	legacyGood := l(ref{elems: 4, shape: []int64{4}, strides: []int64{1}, view: "N"})
	with := func(f func(*ref)) []byte {
		r := good
		f(&r)
		return archive(one(r), 16)
	}
	repeat := func(head, op string, n int, tail string) []byte {
		return archive([]byte("\x80\x02"+head+strings.Repeat(op, n)+tail+"."), 16)
	}
	members := func(n int) []member {
		ms := []member{{"a/data.pkl", one(good)}}
		for i := range n {
			ms = append(ms, member{fmt.Sprint(i), nil})
		}
		return ms
	}
	m := map[string]hostileFile{
		// Containers.
		"zip of nothing":          {[]byte("PK\x05\x06" + strings.Repeat("\x00", 18)), "opcode 0x50"},
		"zip header only":         {[]byte("PK\x03\x04"), "no end record"},
		"zip without a pickle":    {stored(member{"a/version", []byte("3")}), "without NAME/data.pkl"},
		"pickle not in a folder":  {stored(member{"data.pkl", one(good)}), "without NAME/data.pkl"},
		"pickle two folders down": {stored(member{"../../data.pkl", one(good)}), "without NAME/data.pkl"},
		"two pickles":             {stored(member{"a/data.pkl", one(good)}, member{"b/data.pkl", one(good)}), "has 2 pickles"},
		"entry twice":             {stored(member{"a/data.pkl", one(good)}, member{"a/data.pkl", one(good)}), "two entries"},
		"storage twice":           {stored(member{"a/data.pkl", one(good)}, member{"a/data/0", make([]byte, 16)}, member{"a/data/0", make([]byte, 16)}), "two entries"},
		"TorchScript":             {stored(member{"a/data.pkl", one(good)}, member{"a/constants.pkl", nil}), "TorchScript"},
		"compressed pickle":       {zipped(zip.Deflate, member{"a/data.pkl", one(good)}), "is compressed"},
		"zip bomb":                {bomb(), "is compressed"},
		"overlapping entries":     {overlapping(), "overlaps"},
		"byte order unknown":      {stored(member{"a/data.pkl", one(good)}, member{"a/byteorder", []byte("middle")}), `byte order is "middle"`},
		"byte order of a book":    {stored(member{"a/data.pkl", one(good)}, member{"a/byteorder", make([]byte, 1000)}), "want at most 100"},
		"storage missing":         {stored(member{"a/data.pkl", one(good)}), `storage "0" is missing`},
		"storage elsewhere":       {stored(member{"a/data.pkl", one(good)}, member{"a/data/../data/0", make([]byte, 16)}), `storage "0" is missing`},
		"storage too short":       {archive(one(good), 12), "has 12 bytes, want 16"},
		"storage too long":        {archive(one(good), 20), "has 20 bytes, want 16"},
		"checksum of a storage":   {flip(a, "a/data/0", len("a/data/0")+3), "CRC-32"},
		"checksum of the pickle":  {flip(a, "storage", 0), "CRC-32"},
		"name differs":            {edit(a, "a/data/0", 7, '1'), "in its local record"},
		"size differs":            {edit(a, zipDirectory, 20, 15, 0, 0, 0, 15), "has 15 bytes in the zip directory and 16"},
		"size beyond the file":    {edit(a, zipDirectory, 20, 0, 0, 0, 0x70, 0, 0, 0, 0x70), "do not lie before the zip directory"},
		"place beyond the file":   {edit(a, zipDirectory, 42, 0, 0, 0, 0x70), "do not lie before the zip directory"},
		"place of another":        {edit(a, zipDirectory, 42, 0, 0, 0, 0), "overlaps another"},
		"encrypted":               {edit(a, zipDirectory, 8, 1), "is encrypted"},
		"entries of a sort":       {edit(a, zipDirectory, 0, 'X'), "no zip directory entry"},
		"too few entries":         {edit(a, zipEnd, 8, 2, 0, 2, 0), "follow the 2 entries"},
		"too many entries":        {edit(a, zipEnd, 8, 4, 0, 4, 0), "has 4 entries in"},
		"several disks":           {edit(a, zipEnd, 4, 1), "several parts"},
		"directory elsewhere":     {edit(a, zipEnd, 16, 0xff, 0xff, 0xff, 0x7f), "does not lie before its end record"},
		"directory of 2 GiB":      {edit(a, zipEnd, 12, 0xff, 0xff, 0xff, 0x7f), "does not lie before its end record"},
		"text after the zip file": {append(bytes.Clone(a), "tail"...), "no end record"},
		"50,000 names":            {stored(members(50_000)...), `storage "0" is missing`},
		"200,000 names":           {stored(members(200_000)...), "the zip directory has"},

		// Globals: each is refused by its name.
		"os.system":         {archive(*new(pk).op("\x80\x02").call("os.system").str("id").op("\x85R."), 16), `"os.system"`},
		"posix.system":      {archive(*new(pk).op("\x80\x02").call("posix.system").str("id").op("\x85R."), 16), `"posix.system"`},
		"eval":              {archive(*new(pk).op("\x80\x02").call("builtins.eval").str("1").op("\x85R."), 16), `"builtins.eval"`},
		"exec of Python 2":  {archive(*new(pk).op("\x80\x02").call("__builtin__.exec").str("1").op("\x85R."), 16), `"__builtin__.exec"`},
		"getattr":           {archive(*new(pk).op("\x80\x02").call("builtins.getattr").op("."), 16), `"builtins.getattr"`},
		"subprocess":        {archive(*new(pk).op("\x80\x04").str("subprocess").str("Popen").op("\x93)R."), 16), `"subprocess.Popen"`},
		"dotted name":       {archive(*new(pk).op("\x80\x04").str("collections").str("OrderedDict.fromkeys").op("\x93)R."), 16), "OrderedDict.fromkeys"},
		"numpy array":       {archive(*new(pk).op("\x80\x02").call("numpy.core.multiarray._reconstruct").op("."), 16), "_reconstruct"},
		"torch.load":        {archive(*new(pk).op("\x80\x02").call("torch.serialization.load").op("."), 16), "torch.serialization.load"},
		"torch.storage":     {archive(*new(pk).op("\x80\x02").call("torch.storage._load_from_bytes").op("."), 16), "_load_from_bytes"},
		"runpy":             {archive(*new(pk).op("\x80\x02").call("runpy._run_code").op("."), 16), "runpy._run_code"},
		"in a tensor's key": {archive(*new(pk).op("\x80\x02}").call("webbrowser.open").op("Ns."), 16), "webbrowser.open"},
		"after the weights": {archive(append(one(good)[:len(one(good))-1], *new(pk).call("nt.system").op(".")...), 16), "nt.system"},
		"in legacy's magic": {append(*new(pk).op("\x80\x02").call("os.system").str("id").op("\x85R."), 0), `"os.system"`},
		"in legacy's keys":  {append(append(legacyHead(), legacyGood...), *new(pk).op("\x80\x02").call("os.system").op(".")...), `"os.system"`},
		"a module's source": {append(legacyHead(), *new(pk).op("\x80\x02(").str("module").op("NNNtQ.")...), "not that of a storage"},
		"empty name":        {archive([]byte("\x80\x02c\n\n."), 16), `"."`},
		"instance":          {archive([]byte("\x80\x02(ios\nsystem\n."), 16), "opcode 0x69"},
		"object":            {archive(*new(pk).op("\x80\x02(").call("collections.OrderedDict").op("o."), 16), "opcode 0x6f"},
		"extension":         {archive([]byte("\x80\x02\x82\x01."), 16), "opcode 0x82"},
		"new with keywords": {archive(*new(pk).op("\x80\x04").call("collections.OrderedDict").op(")}\x92."), 16), "opcode 0x92"},
		"persistent text":   {archive([]byte("\x80\x02Pid\n."), 16), "opcode 0x50"},
		"buffer":            {archive([]byte("\x80\x05\x97."), 16), "opcode 0x97"},
		"line without end":  {archive(append([]byte("\x80\x02c"), bytes.Repeat([]byte("a"), 5000)...), 16), "more than 1000 characters"},

		// The machine.
		"empty pickle":           {archive(nil, 16), "cut short"},
		"stop only":              {archive([]byte("."), 16), "stack is empty"},
		"never stops":            {archive([]byte("\x80\x02N"), 16), "cut short"},
		"protocol 6":             {archive([]byte("\x80\x06N."), 16), "protocol 6"},
		"pop of nothing":         {archive([]byte("\x80\x020."), 16), "stack is empty"},
		"tuple without mark":     {archive([]byte("\x80\x02t."), 16), "no mark"},
		"tuple below mark":       {archive([]byte("\x80\x02N(\x85."), 16), "stack is empty"},
		"memo never set":         {archive([]byte("\x80\x02h\x07."), 16), "entry 7 was never set"},
		"memo of nothing":        {archive([]byte("\x80\x02q\x00."), 16), "stack is empty"},
		"append to a dict":       {archive([]byte("\x80\x02}Na."), 16), "want a list"},
		"items of a list":        {archive([]byte("\x80\x02]NNs."), 16), "want a dict"},
		"odd items":              {archive([]byte("\x80\x02}(Nu."), 16), "even number"},
		"call of a dict":         {archive([]byte("\x80\x02})R."), 16), "want a global"},
		"call with a list":       {archive(*new(pk).op("\x80\x02").call("collections.OrderedDict").op("]R."), 16), "want a global and a tuple"},
		"call of a storage":      {archive(*new(pk).op("\x80\x02").call("torch.FloatStorage").op(")R."), 16), "not meant for"},
		"call of a called":       {archive(*new(pk).op("\x80\x02").call("torch.device").op(")R)R."), 16), "want a global"},
		"dict of no pairs":       {archive(*new(pk).op("\x80\x02").call("collections.OrderedDict").op("](Ne\x85R."), 16), "other things than pairs"},
		"state of an int":        {archive([]byte("\x80\x02K\x01}b."), 16), "sets the state of an int"},
		"string beyond the end":  {archive([]byte("\x80\x02X\x00\x00\x00\x01."), 16), "cut short"},
		"string of 4 GiB":        {archive([]byte("\x80\x02X\xff\xff\xff\xff."), 16), "want at most"},
		"string of 2^64-1":       {archive([]byte("\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), 16), "want at most"},
		"number of 4 GiB":        {archive([]byte("\x80\x02\x8b\xff\xff\xff\xff."), 16), "want at most"},
		"long strings":           {repeat("", "X\x00\x00\x10\x00"+strings.Repeat("a", 1<<20), 40, ""), "of objects"},
		"million lists":          {repeat("", "]", 1<<20, ""), "of objects"},
		"million marks":          {repeat("", "(", 1<<20, ""), "of objects"},
		"million memos":          {repeat("N", "\x94", 1<<20, ""), "of objects"},
		"million tuples":         {repeat("N", "\x85", 1<<20, ""), "of objects"},
		"million copies":         {repeat("N", "2", 1<<20, ""), "of objects"},
		"dicts of a shared list": {repeat("ccollections\nOrderedDict\nq\x00]("+strings.Repeat("NN\x86", 5000)+"e\x85q\x01", "h\x00h\x01R", 100_000, ""), "of objects"},
		"deep nesting":           {repeat("", "](", 300_000, ""), "of objects"},
		"list within itself":     {archive([]byte("\x80\x02]q\x00h\x00a."), 16), "holds a list"},
		"dict within itself":     {archive(*new(pk).op("\x80\x02}q\x00").str("model").op("h\x00s."), 16), "no tensors found"},
		"shape within itself":    {archive(dict(func(p *pk) { p.call("torch.Size").op("]q\x00h\x00a\x85R") }), 16), "not meant for"},

		// What a file holds.
		"a number":     {archive([]byte("\x80\x02K\x01."), 16), "holds an int, want a state dict"},
		"a tensor":     {archive(*new(pk).op("\x80\x02").tensor(good).op("."), 16), "holds a tensor"},
		"an empty":     {archive([]byte("\x80\x02}."), 16), "has 0 keys"},
		"no tensors":   {archive(*new(pk).op("\x80\x02}").str("epoch").op("K\x03s."), 16), `keys: "epoch"`},
		"keys of ints": {archive(*new(pk).op("\x80\x02}K\x01").tensor(good).op("s."), 16), "no tensors found"},

		// Tensors.
		"shape beyond storage": {with(func(r *ref) { r.shape = []int64{2, 3} }), "does not lie within its storage of 4"},
		"strides beyond":       {with(func(r *ref) { r.strides = []int64{3, 1} }), "does not lie within"},
		"offset beyond":        {with(func(r *ref) { r.offset = 1 }), "does not lie within"},
		"offset of 2^63-1":     {with(func(r *ref) { r.offset = 1<<63 - 1 }), "does not lie within"},
		"negative offset":      {with(func(r *ref) { r.offset = -1 }), "does not lie within"},
		"negative dimension":   {with(func(r *ref) { r.shape = []int64{-2, -2} }), "dimension 0 is -2"},
		"negative stride":      {with(func(r *ref) { r.strides = []int64{-2, 1} }), "with stride -2"},
		"product overflows":    {with(func(r *ref) { r.shape = []int64{1 << 32, 1 << 32}; r.strides = []int64{0, 0} }), "overflows"},
		"span overflows":       {with(func(r *ref) { r.strides = []int64{1<<63 - 1, 1<<63 - 1} }), "overflows"},
		"span wraps":           {with(func(r *ref) { r.shape = []int64{3, 2}; r.strides = []int64{1 << 63 >> 1, 1} }), "stride"},
		"strides too few":      {with(func(r *ref) { r.strides = []int64{1} }), "2 dimensions with 1 strides"},
		"17 dimensions":        {with(func(r *ref) { r.shape = make([]int64, 17); r.strides = make([]int64, 17) }), "more than 16 dimensions"},
		"one element repeated": {with(func(r *ref) { r.shape = []int64{1 << 40}; r.strides = []int64{0} }), "more than twice the file"},
		"storage larger":       {with(func(r *ref) { r.elems = 1 << 40 }), "the file has"},
		"storage negative":     {with(func(r *ref) { r.elems = -4 }), "id of a storage is"},
		"storage of bytes":     {archive(one(ref{class: "torch.ByteStorage", elems: 16, shape: []int64{16}, strides: []int64{1}}), 16), "has dtype U8"},
		"storage of complex":   {archive(one(ref{class: "torch.ComplexFloatStorage", elems: 2, shape: []int64{2}, strides: []int64{1}}), 16), "has dtype C64"},
		"storage of a dict":    {archive(one(ref{class: "collections.OrderedDict", elems: 4, shape: []int64{4}, strides: []int64{1}}), 16), "id of a storage"},
		"storage of two types": {archive(dict(func(p *pk) {
			p.tensor(good).op("0").tensor(ref{class: "torch.LongStorage", elems: 2, shape: []int64{2}, strides: []int64{1}})
		}), 16), "given as 4 of F32 and as 2 of I64"},
		"quantised":             {archive(one(ref{class: "torch.QInt8Storage", elems: 4, shape: []int64{4}, strides: []int64{1}}), 16), "QInt8Storage"},
		"tensor of a dict":      {archive(dict(func(p *pk) { p.call("torch._utils._rebuild_tensor_v2").op("(}").num(0).nums(2).nums(1).op("tR") }), 16), "a tensor of a dict"},
		"tensor of too little":  {archive(dict(func(p *pk) { p.call("torch._utils._rebuild_tensor_v2").op(")R") }), 16), "with 0 arguments"},
		"shape of strings":      {archive(dict(func(p *pk) { tensorOf(p, func(p *pk) { p.op("(").str("x").op("t") }) }), 16), "dimension 0 is a str"},
		"parameter of a dict":   {archive(dict(func(p *pk) { p.call("torch._utils._rebuild_parameter").op("}\x85R") }), 16), "not meant for"},
		"subclass of itself":    {archive(dict(func(p *pk) { p.call("torch._tensor._rebuild_from_type_v2").op("q\x00(h\x00h\x00)NtR") }), 16), "not meant for"},
		"id of a string":        {archive(dict(func(p *pk) { p.str("../../etc/passwd").op("Q") }), 16), "not that of a storage"},
		"id of too little":      {archive(dict(func(p *pk) { p.op("(").str("storage").op("tQ") }), 16), "not that of a storage"},
		"id of something else":  {archive(dict(func(p *pk) { p.op("(").str("module").op("NNNNtQ") }), 16), "not that of a storage"},
		"100 views of 1 MB":     {archive(views(100, 1<<18), 1<<20), "more than twice the file"},
		"transposed, unfolding": {archive(views(3, 1<<22), 1<<24), "more than twice the file"},

		// Legacy files.
		"legacy, no magic":         {[]byte("\x80\x02K\x01."), "want PyTorch's magic number"},
		"legacy, other magic":      {[]byte("\x80\x02\x8a\x0a0123456789."), "want PyTorch's magic number"},
		"legacy, version":          {append([]byte("\x80\x02\x8a\x0a"+legacyMagic+"."), "\x80\x02M\xe8\x03."...), "protocol 1000"},
		"legacy, version a list":   {append([]byte("\x80\x02\x8a\x0a"+legacyMagic+"."), "\x80\x02]."...), "protocol a list"},
		"legacy, machine a list":   {append([]byte("\x80\x02\x8a\x0a"+legacyMagic+"."), "\x80\x02M\xe9\x03.\x80\x02]."...), "machine is described by a list"},
		"legacy, storage in magic": {[]byte("\x80\x02(X\x07\x00\x00\x00storagetQ."), "outside of what was saved"},
		"legacy, no storages":      {append(legacyHead(), legacyGood...), "cut short"},
		"legacy, keys a dict":      {append(append(legacyHead(), legacyGood...), "\x80\x02}."...), "keys of the storages are a dict"},
		"legacy, key missing":      {append(append(legacyHead(), legacyGood...), "\x80\x02]."...), `storage "0" is missing`},
		"legacy, key twice":        {append(append(legacyHead(), legacyGood...), *new(pk).op("\x80\x02](").str("0").str("0").op("e.\x04\x00\x00\x00\x00\x00\x00\x00").op(strings.Repeat("\x00", 40))...), "listed before"},
		"legacy, key of nothing":   {append(append(legacyHead(), legacyGood...), *new(pk).op("\x80\x02]").str("9").op("a.")...), `has "9"`},
		"legacy, count differs":    {legacyFile(legacyGood, 5, 20), "has 5 elements, the pickle says 4"},
		"legacy, count of 2^64-1":  {legacyFile(legacyGood, 1<<64-1, 16), "the pickle says 4"},
		"legacy, cut":              {legacyFile(legacyGood, 4, 15), "cut short"},
		"legacy, bytes left":       {legacyFile(legacyGood, 4, 17), "1 bytes follow"},
		"legacy, view beyond":      {legacyFile(l(ref{elems: 4, shape: []int64{2}, strides: []int64{1}, view: string(*new(pk).op("(").str("v").num(3).num(2).op("t"))}), 4, 16), "not within its 4"},
		"legacy, view overflows":   {legacyFile(l(ref{elems: 4, shape: []int64{2}, strides: []int64{1}, view: string(*new(pk).op("(").str("v").num(1).num(1<<63 - 1).op("t"))}), 4, 16), "not within its 4"},
		"legacy, view negative":    {legacyFile(l(ref{elems: 4, shape: []int64{2}, strides: []int64{1}, view: string(*new(pk).op("(").str("v").num(-1).num(2).op("t"))}), 4, 16), "not within its 4"},
		"legacy, view of a dict":   {legacyFile(l(ref{elems: 4, shape: []int64{2}, strides: []int64{1}, view: "}"}), 4, 16), "has a view that is a dict"},
		"legacy, beyond its view":  {legacyFile(l(ref{elems: 4, shape: []int64{3}, strides: []int64{1}, view: string(*new(pk).op("(").str("v").num(1).num(2).op("t"))}), 4, 16), "does not lie within its storage of 2"},
	}
	return m
})

// tensorOf makes a tensor whose shape is given as opcodes.
func tensorOf(p *pk, shape func(*pk)) {
	p.call("torch._utils._rebuild_tensor_v2").op("((").str("storage").call("torch.FloatStorage").str("0").str("cpu").num(4).op("tQK\x00")
	shape(p)
	p.op("(K\x01ttR")
}

// views makes n transposed tensors of one storage of elems elements.
func views(n int, elems int64) []byte {
	p := new(pk).op("\x80\x02}")
	for i := range n {
		p.str(fmt.Sprint(i)).tensor(ref{elems: elems, shape: []int64{2, elems / 2}, strides: []int64{1, 2}}).op("s")
	}
	return *p.op(".")
}

// flip changes a bit after the first place of a text.
func flip(b []byte, after string, skip int) []byte {
	c := bytes.Clone(b)
	c[bytes.Index(c, []byte(after))+skip] ^= 1
	return c
}

// bomb is a small file whose storage unfolds to 64 MiB.
func bomb() []byte {
	return zipped(zip.Deflate, member{"a/data.pkl", one(good)}, member{"a/data/0", make([]byte, 64<<20)})
}

// overlapping is a zip file whose directory has many names for one entry's
// bytes: what is small on disk would be large in memory.
func overlapping() []byte {
	var local bytes.Buffer
	data := make([]byte, 1000)
	record := func(dir *bytes.Buffer, name string) {
		b := make([]byte, 46)
		copy(b, zipDirectory)
		binary.LittleEndian.PutUint32(b[20:], uint32(len(data)))
		binary.LittleEndian.PutUint32(b[24:], uint32(len(data)))
		binary.LittleEndian.PutUint16(b[28:], uint16(len(name)))
		dir.Write(b)
		dir.WriteString(name)
	}
	b := make([]byte, 30)
	copy(b, zipLocal)
	binary.LittleEndian.PutUint32(b[22:], uint32(len(data)))
	binary.LittleEndian.PutUint16(b[26:], 10)
	local.Write(b)
	local.WriteString("a/data.pkl")
	local.Write(data)
	var dir bytes.Buffer
	for range 100 {
		record(&dir, "a/data.pkl")
	}
	end := make([]byte, 22)
	copy(end, zipEnd)
	binary.LittleEndian.PutUint16(end[8:], 100)
	binary.LittleEndian.PutUint16(end[10:], 100)
	binary.LittleEndian.PutUint32(end[12:], uint32(dir.Len()))
	binary.LittleEndian.PutUint32(end[16:], uint32(local.Len()))
	return append(append(local.Bytes(), dir.Bytes()...), end...)
}

func TestHostileTorch(t *testing.T) {
	for name, c := range hostileTorch() {
		t.Run(name, func(t *testing.T) {
			var err error
			alloctest.Bounded(t, len(c.file), func() {
				alloctest.Quick(t, time.Second, func() { _, err = parseTorch(c.file) })
			})
			if !typed(err) {
				t.Fatalf("error is %v (%T), want a typed one", err, err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %q, want a part %q", err, c.want)
			}
			if len(err.Error()) > 400 || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is not one short line: %q", err)
			}
		})
	}
}

// TestTorchGlobals asks for names around the table: the table has no more
// than it lists, and nothing from modules that act.
func TestTorchGlobals(t *testing.T) {
	for name := range globals {
		for _, near := range []string{name + "x", "x" + name, name[1:], strings.ToUpper(name), name + ".__call__"} {
			if globals[near] != nil {
				continue
			}
			_, err := parseTorch(archive(*new(pk).op("\x80\x04").call(near).op("."), 16))
			var g *GlobalError
			if !errors.As(err, &g) || g.Name != near {
				t.Errorf("%s: error is %v, want a GlobalError", near, err)
			}
		}
	}
}

// TestTorchByteOrder reads big-endian values in both containers.
func TestTorchByteOrder(t *testing.T) {
	data := []byte{0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0}
	r := ref{elems: 2, shape: []int64{2}, strides: []int64{1}, view: "N"}
	z := stored(member{"a/data.pkl", one(r)}, member{"a/byteorder", []byte("big")}, member{"a/data/0", data})
	r.legacy = true
	l := bytes.Replace(legacyFile(one(r), 2<<56, 0), []byte("\x88s."), []byte("\x89s."), 1)
	for name, b := range map[string][]byte{"zip": z, "legacy": append(l, data...)} {
		s, err := parseTorch(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := s.Tensors["w"].Data; !equalBits(got, []float32{1, -2}) {
			t.Errorf("%s: read %v, want [1 -2]", name, got)
		}
	}
}

// TestTorchLegacyView reads a storage that is a part of another.
func TestTorchLegacyView(t *testing.T) {
	view := string(*new(pk).op("(").str("v").num(1).num(3).op("t"))
	b := legacyFile(one(ref{elems: 4, offset: 1, shape: []int64{2}, strides: []int64{1}, view: view, legacy: true}), 4, 0)
	for i := range 4 {
		b = binary.LittleEndian.AppendUint32(b, uint32(0x3f800000+i))
	}
	s, err := parseTorch(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Tensors["w"].Data; len(got) != 2 || got[0] != 1.0000002384185791 || got[1] != 1.000000357627869 {
		t.Errorf("read %v, want elements 2 and 3 of the storage", got)
	}
}

func FuzzTorch(f *testing.F) {
	for _, c := range hostileTorch() {
		if len(c.file) < 4096 {
			f.Add(c.file)
		}
	}
	for _, name := range torchFiles(f) {
		if b := readTestdata(f, name); len(b) < 8192 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s *Set
		var err error
		alloctest.Bounded(t, len(b), func() { s, err = parseTorch(b) })
		if err != nil {
			if !typed(err) {
				t.Fatalf("error is %v (%T), want a typed one", err, err)
			}
			return
		}
		for name, v := range s.Tensors {
			n := 1
			for _, d := range v.Shape {
				n *= d
			}
			if n != len(v.Data) {
				t.Fatalf("%q: shape %v with %d values", name, v.Shape, len(v.Data))
			}
		}
	})
}

// FuzzPickle runs the machine alone, on programs that no container hides.
func FuzzPickle(f *testing.F) {
	for _, c := range hostileTorch() {
		if z, err := zip.NewReader(bytes.NewReader(c.file), int64(len(c.file))); err == nil {
			for _, e := range z.File {
				if strings.HasSuffix(e.Name, "/data.pkl") && e.Method == zip.Store && e.UncompressedSize64 < 4096 {
					r, err := e.OpenRaw()
					if err != nil {
						continue
					}
					b := make([]byte, e.UncompressedSize64)
					r.Read(b)
					f.Add(b)
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var err error
		alloctest.Bounded(t, len(b), func() {
			file := newTorchFile(bytes.NewReader(b), int64(len(b)))
			var root any
			if root, err = unpickle(newByteReader(file.r, 0, file.size), file.storage); err == nil {
				_, _, err = stateDict(root)
			}
		})
		if err != nil && !typed(err) {
			t.Fatalf("error is %v (%T), want a typed one", err, err)
		}
	})
}
