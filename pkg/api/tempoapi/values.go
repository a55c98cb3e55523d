package tempoapi

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"

	"braid/pkg/model"
)

// keyValue is an attribute in protobuf's JSON.
type keyValue struct {
	Key   string   `json:"key"`
	Value anyValue `json:"value"`
}

type anyValue struct{ model.Value }

// MarshalJSON writes an OTLP AnyValue.
func (v anyValue) MarshalJSON() ([]byte, error) {
	switch v.Kind() {
	case model.KindBool:
		return json.Marshal(map[string]bool{"boolValue": v.AsBool()})
	case model.KindInt:
		return []byte(`{"intValue":"` + strconv.FormatInt(v.AsInt(), 10) + `"}`), nil
	case model.KindDouble:
		f, _ := v.Float()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return json.Marshal(map[string]string{"doubleValue": v.Text()})
		}
		return json.Marshal(map[string]float64{"doubleValue": f})
	case model.KindBytes:
		return json.Marshal(map[string]string{"bytesValue": base64.StdEncoding.EncodeToString([]byte(v.Str()))})
	case model.KindArray:
		elems := v.Elements()
		out := make([]anyValue, len(elems))
		for i, e := range elems {
			out[i] = anyValue{e}
		}
		return json.Marshal(map[string]any{"arrayValue": map[string]any{"values": out}})
	case model.KindMap:
		return marshalMap(v.Value)
	}
	return json.Marshal(map[string]string{"stringValue": v.Text()})
}

func marshalMap(v model.Value) ([]byte, error) {
	fields := map[string]json.RawMessage{}
	if json.Unmarshal([]byte(v.Str()), &fields) != nil {
		return json.Marshal(map[string]string{"stringValue": v.Text()})
	}
	out := make([]keyValue, 0, len(fields))
	for _, k := range sortedKeys(fields) {
		out = append(out, keyValue{k, anyValue{model.FromJSON(fields[k])}})
	}
	return json.Marshal(map[string]any{"kvlistValue": map[string]any{"values": out}})
}

func keyValues(attrs model.Attrs) []keyValue {
	if len(attrs) == 0 {
		return nil
	}
	out := make([]keyValue, len(attrs))
	for i, a := range attrs {
		out[i] = keyValue{a.Key, anyValue{a.Value}}
	}
	return out
}
