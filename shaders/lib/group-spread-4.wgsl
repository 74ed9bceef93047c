// Mean and 1 / deviation for four channels, which need not be of one group.
fn spread(c: u32) -> array<F, 2> {
  let i = vec4u(c, c + 1u, c + 2u, c + 3u) / p.width;
  let s = mat4x2f(stats[i.x], stats[i.y], stats[i.z], stats[i.w]);
  return array<F, 2>(vec4f(s[0].x, s[1].x, s[2].x, s[3].x), vec4f(s[0].y, s[1].y, s[2].y, s[3].y));
}
