"""A PyNN script that talks to its network while it runs: a ball game, then a run that is ended from outside."""

import json
import threading
import time

import pyNN.spiNNaker as sim

THROWS, RUN, PAUSE = 5, 2000, 0.15      # spikes to and fro, in a run of so many ms, s before each
SEEN = 8                                # live spikes after which the run without end is ended
live = sim.external_devices.SpynnakerLiveSpikesConnection
result = {"thrown": 0, "seen": 0}


def throw(_label, connection):
    time.sleep(PAUSE)
    result["thrown"] += 1
    connection.send_spike("source", 0)


def catch(label, _time, _neurons):
    if result["thrown"] < THROWS:
        throw(label, game)


def begin(*_):
    result["began"] = time.monotonic()


def watch(_label, step, _neurons):
    result["seen"] += 1
    if result["seen"] == SEEN:
        result["step"], result["took"] = step, time.monotonic() - result["began"]
        threading.Thread(target=sim.external_devices.request_stop).start()


game = live(send_labels=["source"], receive_labels=["source"], local_port=None)
game.add_start_resume_callback("source", throw)
game.add_receive_callback("source", catch)
sim.setup(1.0)
source = sim.Population(1, sim.external_devices.SpikeInjector(database_notify_port_num=game.local_port), label="source")
sim.external_devices.activate_live_output_for(source, database_notify_port_num=game.local_port)
source.record("spikes")
sim.run(RUN)
result["times"] = source.get_data("spikes").segments[0].spiketrains[0].magnitude.tolist()
sim.end()
game.close()

view = live(receive_labels=["cell"], local_port=None)
view.add_init_callback("cell", begin)                           # before the run begins
view.add_receive_callback("cell", watch)
sim.setup(1.0)
cell = sim.Population(1, sim.IF_curr_exp(i_offset=2.0, tau_refrac=200.0), label="cell")
sim.external_devices.activate_live_output_for(cell, database_notify_port_num=view.local_port)
sim.external_devices.run_forever()
result["simulated"] = float(sim.get_current_time())
sim.end()
view.close()
print("RESULT " + json.dumps(result), flush=True)
