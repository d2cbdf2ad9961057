// A counter that stops at LIMIT until it is cleared.
module counter #(
    parameter logic [3:0] LIMIT = 4'd9
) (
    input  logic       clk,
    input  logic       rst_n,
    input  logic       enable,
    input  logic       clear,
    output logic [3:0] count,
    output logic       full
);
    assign full = (count == LIMIT);

    always_ff @(posedge clk or negedge rst_n) begin
        if (!rst_n) count <= 4'd0;
        else if (clear) count <= 4'd0;
        else if (enable && !full) count <= count + 4'd1;
    end
endmodule
