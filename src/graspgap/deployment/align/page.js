// The camera's model of the page: the same as graspgap/deployment/align/fit.py. Lengths in metres, angles in radians.
"use strict";

function multiply(a, b) {
  return a.map((row) => b[0].map((_, column) => row.reduce((sum, value, k) => sum + value * b[k][column], 0)));
}

// Rotation about the camera's own axes: right, then down, then forward.
function turned(rotation, right, down, forward) {
  const [a, b, c] = [right, down, forward].map((angle) => [Math.cos(angle), Math.sin(angle)]);
  const x = [[1, 0, 0], [0, a[0], -a[1]], [0, a[1], a[0]]];
  const y = [[b[0], 0, b[1]], [0, 1, 0], [-b[1], 0, b[0]]];
  const z = [[c[0], -c[1], 0], [c[1], c[0], 0], [0, 0, 1]];
  return multiply(multiply(multiply(rotation, x), y), z);
}

// The camera file after the sliders: shift [m] along x, y, z of the base, turn [rad], factor of the focal length.
function adjusted(camera, by) {
  const pose = camera.T_base_camera;
  const rotation = turned(pose.slice(0, 3).map((row) => row.slice(0, 3)), by.right, by.down, by.forward);
  const moved = rotation.map((row, axis) => [...row, pose[axis][3] + [by.x, by.y, by.z][axis]]);
  const k = camera.K.map((row) => [...row]);
  k[0][0] *= by.focal;
  k[1][1] *= by.focal;
  return { K: k, width: camera.width, height: camera.height, T_base_camera: [...moved, [0, 0, 0, 1]] };
}

// Pixels from the left and upper edge, or null behind the camera.
function project(camera, place) {
  const pose = camera.T_base_camera;
  const way = place.map((value, axis) => value - pose[axis][3]);
  const [right, down, ahead] = [0, 1, 2].map((column) => way.reduce((sum, v, axis) => sum + v * pose[axis][column], 0));
  if (ahead <= 1e-6) return null;
  return [(right / ahead) * camera.K[0][0] + camera.K[0][2], (down / ahead) * camera.K[1][1] + camera.K[1][2]];
}

// Root mean square distance of the clicked points from where the camera sees them [pixels]; null without any.
function reprojectionError(camera, points) {
  const squares = points.filter((point) => point.pixel).map((point) => {
    const seen = project(camera, point.place);
    return seen ? (seen[0] - point.pixel[0]) ** 2 + (seen[1] - point.pixel[1]) ** 2 : Infinity;
  });
  return squares.length ? Math.sqrt(squares.reduce((sum, value) => sum + value, 0) / squares.length) : null;
}

// Edges of a box between two corners.
function boxEdges(low, high) {
  const corner = (n) => [0, 1, 2].map((axis) => ((n >> axis) & 1 ? high[axis] : low[axis]));
  const edges = [];
  for (let n = 0; n < 8; n++) {
    for (let axis = 0; axis < 3; axis++) if (!((n >> axis) & 1)) edges.push([corner(n), corner(n | (1 << axis))]);
  }
  return edges;
}

// The gripper's fingers and hand as lines, at its grasp point.
function gripperEdges(place, yaw, shape) {
  const along = [Math.cos(yaw), Math.sin(yaw)];
  const at = (side, up) => [place[0] + side * along[0], place[1] + side * along[1], place[2] + up];
  const half = shape.opening / 2;
  const [left, right] = [-half, half].map((side) => [at(side, 0), at(side, shape.finger)]);
  return [left, right, [left[1], right[1]], [at(0, shape.finger), at(0, shape.finger + shape.hand)]];
}

if (typeof module !== "undefined") module.exports = { adjusted, project, reprojectionError, boxEdges, gripperEdges };
