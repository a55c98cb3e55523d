package logql

// Range functions.
const (
	opRate        = "rate"
	opCount       = "count_over_time"
	opBytesRate   = "bytes_rate"
	opBytes       = "bytes_over_time"
	opAbsent      = "absent_over_time"
	opSum         = "sum_over_time"
	opAvg         = "avg_over_time"
	opMin         = "min_over_time"
	opMax         = "max_over_time"
	opFirst       = "first_over_time"
	opLast        = "last_over_time"
	opStddev      = "stddev_over_time"
	opStdvar      = "stdvar_over_time"
	opQuantile    = "quantile_over_time"
	opRateCounter = "rate_counter"
)

// rangeOps tells of every range function whether it may, must or must not
// have an unwrap.
var rangeOps = map[string]string{
	opRate: "may", opAbsent: "may",
	opCount: "no", opBytesRate: "no", opBytes: "no",
	opSum: "must", opAvg: "must", opMin: "must", opMax: "must", opFirst: "must", opLast: "must",
	opStddev: "must", opStdvar: "must", opQuantile: "must", opRateCounter: "must",
}

var vectorOps = map[string]bool{
	"sum": true, "avg": true, "min": true, "max": true, "count": true, "stddev": true, "stdvar": true,
	"topk": true, "bottomk": true, "approx_topk": true, "sort": true, "sort_desc": true,
}

// takesK reports whether an aggregation has a number of series as parameter.
func takesK(op string) bool { return op == "topk" || op == "bottomk" || op == "approx_topk" }

func isSort(op string) bool { return op == "sort" || op == "sort_desc" }

// binaryOps holds the precedence of the operators; ^ binds to the right.
var binaryOps = map[string]int{
	"or": 1, "and": 2, "unless": 2,
	"==": 3, "!=": 3, ">": 3, ">=": 3, "<": 3, "<=": 3,
	"+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "^": 6,
}

func isComparison(op string) bool { return binaryOps[op] == 3 }
func isSetOp(op string) bool      { return binaryOps[op] == 1 || binaryOps[op] == 2 }

var unwrapConversions = map[string]bool{"duration": true, "duration_seconds": true, "bytes": true}
