"""Renders masks with Mapnik; runs under the interpreter that has its bindings (Debian: python3-mapnik).

Reads a file of squares, one JSON object a line: ``side`` in pixels and ``shapes``, WKB polygons in hexadecimal with
x to the right and y upwards, the square's upper left corner at 0, 0. Then, for each line on standard input, renders
every square once and answers with the seconds that it took and how many pixels are set.
"""

import json
import sys
import time

import mapnik

side, maps = 0, []
with open(sys.argv[1]) as file:
    for line in file:
        square = json.loads(line)
        side = square["side"]
        data, context = mapnik.MemoryDatasource(), mapnik.Context()
        for number, shape in enumerate(square["shapes"]):
            feature = mapnik.Feature(context, number)
            feature.geometry = mapnik.Geometry.from_wkb(bytes.fromhex(shape))
            data.add_feature(feature)
        fill = mapnik.PolygonSymbolizer()
        fill.fill = mapnik.Color("black")
        fill.gamma, fill.gamma_method = 0.5, mapnik.gamma_method.THRESHOLD  # pixels are set or not
        rule, style, layer = mapnik.Rule(), mapnik.Style(), mapnik.Layer("layer")
        rule.symbols.append(fill)
        style.rules.append(rule)
        layer.datasource = data
        layer.styles.append("style")
        one = mapnik.Map(side, side)
        one.append_style("style", style)
        one.layers.append(layer)
        one.zoom_to_box(mapnik.Box2d(0, -side, side, 0))
        maps.append(one)
print("ready", flush=True)
for _ in sys.stdin:
    seconds, pixels = 0.0, 0
    for one in maps:
        started = time.perf_counter()
        image = mapnik.Image(side, side)
        mapnik.render(one, image)
        seconds += time.perf_counter() - started
        pixels += sum(image.tostring()[3::4]) // 255
    print(json.dumps([seconds, pixels]), flush=True)
