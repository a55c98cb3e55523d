package rawgrpc

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/protobuf/types/known/timestamppb"

	"google.golang.org/protobuf/proto"

	"braid/pkg/model"
)

func TestEncoderWritesWhatOthersRead(t *testing.T) {
	var e Encoder
	e.Time(1, 1_700_000_000_123_456_789)
	require.NoError(t, Each(e.B, func(f Field) error {
		var ts timestamppb.Timestamp
		require.NoError(t, proto.Unmarshal(f.Bytes, &ts))
		require.Equal(t, int64(1_700_000_000_123_456_789), ts.AsTime().UnixNano())
		ns, err := f.Seconds()
		require.Equal(t, int64(1_700_000_000_123_456_789), ns)
		return err
	}))

	attrs := model.Attrs{{Key: "s", Value: model.String("x")}, {Key: "b", Value: model.Bool(false)}, {Key: "i", Value: model.Int(-3)},
		{Key: "d", Value: model.Double(0)}, {Key: "a", Value: model.ArrayJSON(`["x",1]`)}, {Key: "y", Value: model.Bytes("\x00\xff")}, {Key: "e"}}
	var res Encoder // TracesData{resource_spans{resource{attributes}}}
	res.Message(1, func(e *Encoder) {
		e.Message(1, func(e *Encoder) {
			for _, a := range attrs {
				e.KeyValue(1, a)
			}
		})
	})
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(res.B)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"s": "x", "b": false, "i": int64(-3), "d": float64(0), "a": []any{"x", int64(1)}, "y": []byte("\x00\xff"), "e": nil},
		td.ResourceSpans().At(0).Resource().Attributes().AsRaw())
}

func TestMessageKeepsItsBytes(t *testing.T) {
	b, err := proto.Marshal(Message([]byte{0x0a, 0x01, 'x'}))
	require.NoError(t, err)
	require.Equal(t, []byte{0x0a, 0x01, 'x'}, b)
}

// FuzzEach: no bytes panic.
func FuzzEach(f *testing.F) {
	f.Add([]byte{0x0a, 0x01, 'x', 0x10, 0x05})
	f.Add([]byte{0x0b, 0x0c})
	f.Add([]byte{0x0a, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		err := Each(b, func(f Field) error {
			_, _, _ = f.Entry()
			_, _ = f.Seconds()
			_, _, _ = f.KeyValueText()
			return nil
		})
		if err != nil {
			require.ErrorIs(t, err, model.ErrInvalid)
		}
	})
}
