/** A trend the size of a word. */
export function Spark({
  points,
  width = 110,
  height = 20,
}: {
  points: readonly (readonly [number, number])[];
  width?: number;
  height?: number;
}) {
  if (points.length < 2) return <svg width={width} height={height} aria-hidden />;
  const xs = points.map((p) => p[0]);
  const from = Math.min(...xs);
  const span = Math.max(...xs) - from || 1;
  const max = Math.max(...points.map((p) => p[1]), Number.MIN_VALUE);
  const d = points
    .map(
      ([x, y], i) =>
        `${i ? "L" : "M"}${(((x - from) / span) * width).toFixed(1)} ${(height - 1 - (y / max) * (height - 3)).toFixed(1)}`,
    )
    .join("");
  return (
    <svg width={width} height={height} aria-hidden>
      <path d={d} fill="none" stroke="var(--series-1)" strokeWidth={1.4} />
    </svg>
  );
}
