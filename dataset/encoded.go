package dataset

import (
	"cmp"
	"fmt"
	"sync"

	"effnet/imageprep"
)

// encodedSet is images that lie encoded in files, decoded when they are asked
// for.
type encodedSet struct {
	store     store
	images    []encodedImage
	classes   []string
	limits    imageprep.Limits
	shortSide int

	// Decoded images, first come first kept: epochs visit images in random
	// order, which leaves nothing to gain from replacing one by another.
	mu    sync.RWMutex
	cache map[int]imageprep.Image
	room  *cacheRoom // shared by the parts
}

// encodedImage says where an image lies.
type encodedImage struct {
	name   string // slash-separated, within the folder or the shard
	size   int64  // bytes
	offset int64  // of its bytes in the shard
	shard  int32
	label  int32
}

// store is where encoded images lie. It is safe for concurrent use.
type store interface {
	// read returns the bytes of an image, unless they exceed the limit. Its
	// errors do not name the image.
	read(im *encodedImage, lim imageprep.Limits) ([]byte, error)
	// where names the image for a user.
	where(im *encodedImage) string
}

func newEncodedSet(s store, classes []string, opt Options, room *cacheRoom) *encodedSet {
	return &encodedSet{
		store: s, classes: classes, limits: opt.Limits, shortSide: opt.ShortSide,
		cache: make(map[int]imageprep.Image), room: room,
	}
}

func (s *encodedSet) Len() int          { return len(s.images) }
func (s *encodedSet) Label(i int) int32 { return s.images[i].label }
func (s *encodedSet) Classes() []string { return s.classes }

func (s *encodedSet) Image(i int) (imageprep.Image, error) {
	s.mu.RLock()
	im, ok := s.cache[i]
	s.mu.RUnlock()
	if ok {
		return im, nil
	}
	data, err := s.read(i)
	if err != nil {
		return imageprep.Image{}, err
	}
	if im, err = imageprep.Decode(data, s.limits); err != nil {
		return imageprep.Image{}, s.wrap(i, err)
	}
	if s.shortSide > 0 && min(im.H, im.W) > s.shortSide {
		h, w := imageprep.ShortSide(im.H, im.W, s.shortSide)
		im = imageprep.Resize(nil, im, h, w, imageprep.Bicubic)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.cache[i]; !ok && s.room.take(int64(len(im.Pix))) {
		s.cache[i] = im
	}
	return im, nil
}

// read returns the bytes of image i.
func (s *encodedSet) read(i int) ([]byte, error) {
	data, err := s.store.read(&s.images[i], s.limits)
	if err != nil {
		return nil, s.wrap(i, err)
	}
	return data, nil
}

// wrap says which image an error is about.
func (s *encodedSet) wrap(i int, err error) error {
	return fmt.Errorf("dataset: %s: %w", s.store.where(&s.images[i]), err)
}

// config is what the header of image i says.
func (s *encodedSet) config(i int) (imageprep.Config, error) {
	data, err := s.read(i)
	if err != nil {
		return imageprep.Config{}, err
	}
	cfg, err := imageprep.DecodeConfig(data, s.limits)
	if err != nil {
		return imageprep.Config{}, s.wrap(i, err)
	}
	return cfg, nil
}

// cacheRoom is the bytes left for decoded images.
type cacheRoom struct {
	mu   sync.Mutex
	left int64
}

func newCacheRoom(opt Options) *cacheRoom {
	return &cacheRoom{left: cmp.Or(opt.CacheBytes, defaultCacheBytes)}
}

// take reserves n bytes if they are there.
func (c *cacheRoom) take(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > c.left {
		return false
	}
	c.left -= n
	return true
}
