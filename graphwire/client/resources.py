"""What can be asked of a service: the one list of both clients."""

from graphwire.client import execution_calls, foreign_calls, graph_calls, service_calls, steering_calls
from graphwire.client.endpoints import Endpoint, Listing


class GraphRequests:
    """Definitions and their versions."""

    get = Endpoint(graph_calls.get_graph)
    create = Endpoint(graph_calls.create_graph)
    put = Endpoint(graph_calls.put_graph)
    validate = Endpoint(graph_calls.validate_graph)
    delete = Endpoint(graph_calls.delete_graph)
    versions = Endpoint(graph_calls.list_versions)
    diff = Endpoint(graph_calls.diff_graph)
    diagram = Endpoint(graph_calls.draw_graph)
    list = Endpoint(graph_calls.list_graphs)
    iterate = Listing(graph_calls.list_graphs)
    iterate_versions = Listing(graph_calls.list_versions)


class ExecutionRequests:
    """Executions: started, looked at, steered, deleted, read back."""

    start = Endpoint(execution_calls.start_execution)
    declare = Endpoint(foreign_calls.declare_execution)
    report = Endpoint(foreign_calls.report_events)
    get = Endpoint(execution_calls.get_execution)
    state = Endpoint(execution_calls.get_state)
    checkpoints = Endpoint(execution_calls.list_checkpoints)
    cancel = Endpoint(steering_calls.cancel_execution)
    cancel_many = Endpoint(steering_calls.cancel_executions)
    pause = Endpoint(steering_calls.pause_execution)
    resume = Endpoint(steering_calls.resume_execution)
    step = Endpoint(steering_calls.step_execution)
    input = Endpoint(steering_calls.answer_interrupt)
    set_breakpoints = Endpoint(steering_calls.set_breakpoints)
    edit_state = Endpoint(steering_calls.edit_state)
    fork = Endpoint(steering_calls.fork_execution)
    retry = Endpoint(steering_calls.retry_execution)
    retry_many = Endpoint(steering_calls.retry_executions)
    delete = Endpoint(execution_calls.delete_execution)
    events = Endpoint(execution_calls.get_events)
    event = Endpoint(execution_calls.get_event)
    list = Endpoint(execution_calls.list_executions)
    iterate = Listing(execution_calls.list_executions)
    iterate_checkpoints = Listing(execution_calls.list_checkpoints)


class ServiceRequests:
    """The service itself."""

    node_types = Endpoint(service_calls.list_node_types)
    live = Endpoint(service_calls.check_live)
    ready = Endpoint(service_calls.check_ready)
