package otlp

// jsonKind is how a field is written in OTLP JSON and in protobuf.
type jsonKind uint8

const (
	kindMessage jsonKind = iota
	kindString
	kindHex    // an id: hex digits of any case
	kindBase64 // bytesValue
	kindBool
	kindEnum // a number, never a name
	kindUint32
	kindInt64 // a varint; number or string
	kindSint32
	kindFixed32
	kindFixed64
	kindSfixed64
	kindDouble
	kindPackedFixed64
	kindPackedDouble
	kindPackedVarint
)

// jsonField says which protobuf field a JSON name stands for.
type jsonField struct {
	num  int32
	kind jsonKind
	list bool
	sub  *jsonMessage
}

// jsonMessage is the JSON names of one message. Only lowerCamelCase names are
// names; all others are unknown fields and ignored.
type jsonMessage struct {
	fields map[string]jsonField
}

func message(fields map[string]jsonField) *jsonMessage { return &jsonMessage{fields: fields} }

func one(num int32, sub *jsonMessage) jsonField { return jsonField{num: num, sub: sub} }

func list(num int32, sub *jsonMessage) jsonField { return jsonField{num: num, sub: sub, list: true} }

func scalar(num int32, kind jsonKind) jsonField { return jsonField{num: num, kind: kind} }

// The messages of opentelemetry-proto as JSON.
var (
	jsonAnyValue = &jsonMessage{}
	jsonKeyValue = message(map[string]jsonField{"key": scalar(1, kindString), "value": one(2, jsonAnyValue)})
	_            = fillAnyValue()

	jsonResource = message(map[string]jsonField{
		"attributes": list(1, jsonKeyValue), "droppedAttributesCount": scalar(2, kindUint32),
	})
	jsonScope = message(map[string]jsonField{
		"name": scalar(1, kindString), "version": scalar(2, kindString),
		"attributes": list(3, jsonKeyValue), "droppedAttributesCount": scalar(4, kindUint32),
	})

	jsonLogs = envelope("resourceLogs", "scopeLogs", "logRecords", message(map[string]jsonField{
		"timeUnixNano": scalar(1, kindFixed64), "severityNumber": scalar(2, kindEnum), "severityText": scalar(3, kindString),
		"body": one(5, jsonAnyValue), "attributes": list(6, jsonKeyValue), "droppedAttributesCount": scalar(7, kindUint32),
		"flags": scalar(8, kindFixed32), "traceId": scalar(9, kindHex), "spanId": scalar(10, kindHex),
		"observedTimeUnixNano": scalar(11, kindFixed64), "eventName": scalar(12, kindString),
	}))

	jsonTraces = envelope("resourceSpans", "scopeSpans", "spans", message(map[string]jsonField{
		"traceId": scalar(1, kindHex), "spanId": scalar(2, kindHex), "traceState": scalar(3, kindString),
		"parentSpanId": scalar(4, kindHex), "name": scalar(5, kindString), "kind": scalar(6, kindEnum),
		"startTimeUnixNano": scalar(7, kindFixed64), "endTimeUnixNano": scalar(8, kindFixed64),
		"attributes": list(9, jsonKeyValue), "droppedAttributesCount": scalar(10, kindUint32),
		"events": list(11, message(map[string]jsonField{
			"timeUnixNano": scalar(1, kindFixed64), "name": scalar(2, kindString),
			"attributes": list(3, jsonKeyValue), "droppedAttributesCount": scalar(4, kindUint32),
		})),
		"droppedEventsCount": scalar(12, kindUint32),
		"links": list(13, message(map[string]jsonField{
			"traceId": scalar(1, kindHex), "spanId": scalar(2, kindHex), "traceState": scalar(3, kindString),
			"attributes": list(4, jsonKeyValue), "droppedAttributesCount": scalar(5, kindUint32), "flags": scalar(6, kindFixed32),
		})),
		"droppedLinksCount": scalar(14, kindUint32),
		"status":            one(15, message(map[string]jsonField{"message": scalar(2, kindString), "code": scalar(3, kindEnum)})),
		"flags":             scalar(16, kindFixed32),
	}))

	jsonMetrics = envelope("resourceMetrics", "scopeMetrics", "metrics", message(map[string]jsonField{
		"name": scalar(1, kindString), "description": scalar(2, kindString), "unit": scalar(3, kindString),
		"gauge":                one(5, message(map[string]jsonField{"dataPoints": list(1, jsonNumberPoint)})),
		"sum":                  one(7, points(jsonNumberPoint, true)),
		"histogram":            one(9, points(jsonHistogramPoint, false)),
		"exponentialHistogram": one(10, points(jsonExpPoint, false)),
		"summary":              one(11, message(map[string]jsonField{"dataPoints": list(1, jsonSummaryPoint)})),
		"metadata":             list(12, jsonKeyValue),
	}))

	jsonExemplar = message(map[string]jsonField{
		"timeUnixNano": scalar(2, kindFixed64), "asDouble": scalar(3, kindDouble), "spanId": scalar(4, kindHex),
		"traceId": scalar(5, kindHex), "asInt": scalar(6, kindSfixed64), "filteredAttributes": list(7, jsonKeyValue),
	})
	jsonNumberPoint = message(map[string]jsonField{
		"startTimeUnixNano": scalar(2, kindFixed64), "timeUnixNano": scalar(3, kindFixed64), "asDouble": scalar(4, kindDouble),
		"exemplars": list(5, jsonExemplar), "asInt": scalar(6, kindSfixed64), "attributes": list(7, jsonKeyValue),
		"flags": scalar(8, kindUint32),
	})
	jsonHistogramPoint = message(map[string]jsonField{
		"startTimeUnixNano": scalar(2, kindFixed64), "timeUnixNano": scalar(3, kindFixed64), "count": scalar(4, kindFixed64),
		"sum": scalar(5, kindDouble), "bucketCounts": scalar(6, kindPackedFixed64), "explicitBounds": scalar(7, kindPackedDouble),
		"exemplars": list(8, jsonExemplar), "attributes": list(9, jsonKeyValue), "flags": scalar(10, kindUint32),
		"min": scalar(11, kindDouble), "max": scalar(12, kindDouble),
	})
	jsonBuckets  = message(map[string]jsonField{"offset": scalar(1, kindSint32), "bucketCounts": scalar(2, kindPackedVarint)})
	jsonExpPoint = message(map[string]jsonField{
		"attributes": list(1, jsonKeyValue), "startTimeUnixNano": scalar(2, kindFixed64), "timeUnixNano": scalar(3, kindFixed64),
		"count": scalar(4, kindFixed64), "sum": scalar(5, kindDouble), "scale": scalar(6, kindSint32),
		"zeroCount": scalar(7, kindFixed64), "positive": one(8, jsonBuckets), "negative": one(9, jsonBuckets),
		"flags": scalar(10, kindUint32), "exemplars": list(11, jsonExemplar), "min": scalar(12, kindDouble),
		"max": scalar(13, kindDouble), "zeroThreshold": scalar(14, kindDouble),
	})
	jsonSummaryPoint = message(map[string]jsonField{
		"startTimeUnixNano": scalar(2, kindFixed64), "timeUnixNano": scalar(3, kindFixed64), "count": scalar(4, kindFixed64),
		"sum": scalar(5, kindDouble),
		"quantileValues": list(6, message(map[string]jsonField{
			"quantile": scalar(1, kindDouble), "value": scalar(2, kindDouble),
		})),
		"attributes": list(7, jsonKeyValue), "flags": scalar(8, kindUint32),
	})
)

// fillAnyValue closes the circle: an AnyValue holds AnyValues.
func fillAnyValue() bool {
	jsonAnyValue.fields = map[string]jsonField{
		"stringValue": scalar(1, kindString), "boolValue": scalar(2, kindBool), "intValue": scalar(3, kindInt64),
		"doubleValue": scalar(4, kindDouble),
		"arrayValue":  one(5, message(map[string]jsonField{"values": list(1, jsonAnyValue)})),
		"kvlistValue": one(6, message(map[string]jsonField{"values": list(1, jsonKeyValue)})),
		"bytesValue":  scalar(7, kindBase64),
	}
	return true
}

func envelope(resources, scopes, items string, item *jsonMessage) *jsonMessage {
	scope := message(map[string]jsonField{
		"scope": one(1, jsonScope), items: list(2, item), "schemaUrl": scalar(3, kindString),
	})
	resource := message(map[string]jsonField{
		"resource": one(1, jsonResource), scopes: list(2, scope), "schemaUrl": scalar(3, kindString),
	})
	return message(map[string]jsonField{resources: list(1, resource)})
}

func points(point *jsonMessage, sum bool) *jsonMessage {
	fields := map[string]jsonField{"dataPoints": list(1, point), "aggregationTemporality": scalar(2, kindEnum)}
	if sum {
		fields["isMonotonic"] = scalar(3, kindBool)
	}
	return message(fields)
}
