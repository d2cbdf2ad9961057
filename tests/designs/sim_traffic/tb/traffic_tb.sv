module traffic_tb;
    logic clk = 0, rst_n = 0, request = 0, hold = 0, go;
    logic [3:0] count;
    traffic dut (.*);
    always #5 clk = ~clk;
    initial begin
        #12 rst_n = 1;
        request = 1;
        #20;
        if (!go && count == 0) $error("the light should have been green");
        $finish;
    end
endmodule
