"""A PyNN script that talks to its network while it runs: spikes into a run, then a ball game in a run without end."""

import json
import threading
import time

import pyNN.spiNNaker as sim

SPIKES, GAP, RUN = 3, 0.3, 3000         # s between two, ms
THROWS, PAUSE = 5, 0.15                 # s before each
live = sim.external_devices.SpynnakerLiveSpikesConnection
result = {"caught": []}


def send(_label, connection):
    for _ in range(SPIKES):
        time.sleep(GAP)
        connection.send_spike("source", 0)


def injector(connection):
    return sim.Population(1, sim.external_devices.SpikeInjector(database_notify_port_num=connection.local_port),
                          label="source")


sender = live(send_labels=["source"], local_port=None)
sender.add_start_resume_callback("source", send)
sim.setup(1.0)
source = injector(sender)
source.record("spikes")
sim.run(RUN)
result["injected"] = source.get_data("spikes").segments[0].spiketrains[0].magnitude.tolist()
sim.end()
sender.close()


def begin(*_):
    result["began"] = time.monotonic()


def throw(_label, connection):
    time.sleep(PAUSE)
    connection.send_spike("source", 0)


def catch(label, step, _neurons):
    result["caught"].append(step)
    if len(result["caught"]) < THROWS:
        throw(label, game)
    else:
        result["took"] = time.monotonic() - result["began"]
        threading.Thread(target=sim.external_devices.request_stop).start()


game = live(send_labels=["source"], receive_labels=["source"], local_port=None)
game.add_init_callback("source", begin)                         # before the run begins
game.add_start_resume_callback("source", throw)
game.add_receive_callback("source", catch)
sim.setup(1.0)
sim.external_devices.activate_live_output_for(injector(game), database_notify_port_num=game.local_port)
sim.external_devices.run_forever()
result["simulated"] = float(sim.get_current_time())
sim.end()
game.close()
print("RESULT " + json.dumps(result), flush=True)
