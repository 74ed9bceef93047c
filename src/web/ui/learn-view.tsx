// What happens inside: placeholder for the map.
export function LearnView() {
  return <div class="page learn"><h1>Inside</h1></div>;
}
